/**
 * What the first bytes of a compiled file tell: for which system and processor it was built, whether all of it is there, and which
 * C library a Linux program starts with. Reads headers only; knows nothing of Node addons and loads nothing.
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";

const ELF_MACHINES = new Map([
  [3, "ia32"],
  [40, "arm"],
  [62, "x64"],
  [183, "arm64"],
  [243, "riscv64"],
]);
const MACH_PROCESSORS = new Map([
  [0x01000007, "x64"],
  [0x0100000c, "arm64"],
]);
const PE_MACHINES = new Map([
  [0x014c, "ia32"],
  [0x8664, "x64"],
  [0xaa64, "arm64"],
]);
const PROGRAM_INTERPRETER = 3; // PT_INTERP

/** A machine as `process.platform` and `process.arch` name it. */
export interface Machine {
  readonly platform: string;
  readonly arch: string;
}

/** Why the file at `path` cannot be loaded on `here`, in words that follow its name; undefined when its header says nothing against it. */
export function obstacleInFile(path: string, here: Machine = process): string | undefined {
  return withFile(path, (read, size) => {
    if (size === 0) return "is empty";
    const start = read(0, 64);
    const built = elf(start, size, read) ?? mach(start) ?? pe(start, read);
    if (built === undefined) {
      const bytes = [...start.subarray(0, 4)].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
      return `is no compiled library (its first bytes are ${bytes})`;
    }
    if (built.platform !== here.platform || (built.arch !== here.arch && built.arch !== "any"))
      return `was built for ${built.platform} ${built.arch}, and this is ${here.platform} ${here.arch}`;
    if (built.bytes > size) return `is cut short: ${size} of ${built.bytes} bytes are there`;
    return undefined;
  });
}

/** The C library that the Linux program at `path` is started with: "musl", else "glibc", also where the file does not say. */
export function libcOf(path: string): "glibc" | "musl" {
  const interpreter = withFile(path, (read) => {
    const start = read(0, 64);
    if (!isElf64(start)) return "";
    const table = Number(start.readBigUInt64LE(32)); // e_phoff
    const width = start.readUInt16LE(54); // e_phentsize
    for (let i = 0; i < start.readUInt16LE(56); i++) {
      const entry = read(table + i * width, 56);
      if (entry.length < 56 || entry.readUInt32LE(0) !== PROGRAM_INTERPRETER) continue;
      return read(Number(entry.readBigUInt64LE(8)), Math.min(Number(entry.readBigUInt64LE(32)), 4096)).toString("latin1");
    }
    return "";
  });
  return interpreter.includes("ld-musl") ? "musl" : "glibc";
}

interface Built extends Machine {
  /** Size that the header calls for; 0 where it does not say. */
  readonly bytes: number;
}

type Read = (position: number, length: number) => Buffer;

function withFile<T>(path: string, use: (read: Read, size: number) => T): T {
  const file = openSync(path, "r");
  try {
    const read = (position: number, length: number) => {
      const buffer = Buffer.alloc(length);
      return buffer.subarray(0, readSync(file, buffer, 0, length, position));
    };
    return use(read, fstatSync(file).size);
  } finally {
    closeSync(file);
  }
}

function isElf64(start: Buffer): boolean {
  return start.length === 64 && start.readUInt32BE(0) === 0x7f454c46 && start[4] === 2 && start[5] === 1;
}

/** 64-bit little-endian ELF: what a linker writes ends with its tables of segments and sections, or with a section's own bytes. */
function elf(start: Buffer, size: number, read: Read): Built | undefined {
  if (start.length < 20 || start.readUInt32BE(0) !== 0x7f454c46) return undefined;
  const littleEndian = start[5] === 1;
  const machine = littleEndian ? start.readUInt16LE(18) : start.readUInt16BE(18);
  const built = { platform: "linux", arch: ELF_MACHINES.get(machine) ?? `processor ${machine}`, bytes: 0 };
  if (start.length < 64) return { ...built, bytes: 64 };
  if (!isElf64(start)) return built;
  const end = (offset: number, width: number, count: number) =>
    Number(start.readBigUInt64LE(offset)) + start.readUInt16LE(width) * start.readUInt16LE(count);
  let bytes = Math.max(end(32, 54, 56), end(40, 58, 60));
  if (bytes <= size) {
    const table = Number(start.readBigUInt64LE(32));
    const width = start.readUInt16LE(54);
    for (let i = 0; i < start.readUInt16LE(56); i++) {
      const entry = read(table + i * width, 56);
      if (entry.length === 56) bytes = Math.max(bytes, Number(entry.readBigUInt64LE(8) + entry.readBigUInt64LE(32)));
    }
  }
  return { ...built, bytes };
}

function mach(start: Buffer): Built | undefined {
  if (start.length < 8) return undefined;
  if (start.readUInt32BE(0) === 0xcafebabe) return { platform: "darwin", arch: "any", bytes: 0 }; // several processors in one file
  if (start.readUInt32LE(0) !== 0xfeedfacf) return undefined;
  const processor = start.readUInt32LE(4);
  return { platform: "darwin", arch: MACH_PROCESSORS.get(processor) ?? `processor ${processor}`, bytes: 0 };
}

function pe(start: Buffer, read: Read): Built | undefined {
  if (start.length < 64 || start.toString("latin1", 0, 2) !== "MZ") return undefined;
  const header = read(start.readUInt32LE(60), 6);
  if (header.length < 6 || header.toString("latin1", 0, 4) !== "PE\0\0") return undefined;
  const machine = header.readUInt16LE(4);
  return { platform: "win32", arch: PE_MACHINES.get(machine) ?? `processor ${machine}`, bytes: 0 };
}
