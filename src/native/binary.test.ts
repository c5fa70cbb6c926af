/** What is told of a file from its header: hand-made headers of other systems, and the programs of this one. */
import { copyFileSync, mkdtempSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { libcOf, obstacleInFile } from "./binary.js";

const folder = mkdtempSync(join(tmpdir(), "siri-binary-"));
const LINUX = { platform: "linux", arch: "x64" };
let made = 0;

function file(content: Buffer): string {
  const path = join(folder, `${made++}.node`);
  writeFileSync(path, content);
  return path;
}

/** A 64-bit little-endian ELF file of one segment, which says it begins at 120 and holds what is given. */
function elf(machine: number, segmentType: number, content: Buffer): Buffer {
  const start = Buffer.alloc(120);
  start.write("\x7fELF\x02\x01\x01", 0, "latin1");
  start.writeUInt16LE(3, 16);
  start.writeUInt16LE(machine, 18);
  start.writeBigUInt64LE(64n, 32);
  start.writeUInt16LE(56, 54);
  start.writeUInt16LE(1, 56);
  start.writeUInt32LE(segmentType, 64);
  start.writeBigUInt64LE(120n, 72);
  start.writeBigUInt64LE(BigInt(content.length), 96);
  return Buffer.concat([start, content]);
}

function pe(machine: number): Buffer {
  const content = Buffer.alloc(72);
  content.write("MZ", 0, "latin1");
  content.writeUInt32LE(64, 60);
  content.write("PE\0\0", 64, "latin1");
  content.writeUInt16LE(machine, 68);
  return content;
}

const mach = (processor: number) => Buffer.from(new Uint32Array([0xfeedfacf, processor, 0, 6]).buffer);

test.each([
  ["x64 Linux", elf(62, 1, Buffer.alloc(9)), undefined],
  ["arm64 Linux", elf(183, 1, Buffer.alloc(9)), "was built for linux arm64, and this is linux x64"],
  ["an unknown processor", elf(999, 1, Buffer.alloc(9)), "was built for linux processor 999, and this is linux x64"],
  ["x64 Windows", pe(0x8664), "was built for win32 x64, and this is linux x64"],
  ["arm64 macOS", mach(0x0100000c), "was built for darwin arm64, and this is linux x64"],
  ["the first half", elf(62, 1, Buffer.alloc(80)).subarray(0, 160), "is cut short: 160 of 200 bytes are there"],
  ["only a header", elf(62, 1, Buffer.alloc(80)).subarray(0, 64), "is cut short: 64 of 120 bytes are there"],
  ["less than a header", elf(62, 1, Buffer.alloc(80)).subarray(0, 40), "is cut short: 40 of 64 bytes are there"],
  ["nothing", Buffer.alloc(0), "is empty"],
  ["a text", Buffer.from("<!DOCTYPE html>"), "is no compiled library (its first bytes are 3c 21 44 4f)"],
  ["one byte", Buffer.from("M"), "is no compiled library (its first bytes are 4d)"],
  ["a DOS program", Buffer.concat([Buffer.from("MZ"), Buffer.alloc(70)]), "is no compiled library (its first bytes are 4d 5a 00 00)"],
])("on x64 Linux, a file with %s", (_, content, message) => {
  expect(obstacleInFile(file(content), LINUX)).toBe(message);
});

test("on the machine that a file is for, nothing is said against it", () => {
  expect(obstacleInFile(file(mach(0x0100000c)), { platform: "darwin", arch: "arm64" })).toBeUndefined();
  expect(obstacleInFile(file(mach(0x01000007)), { platform: "darwin", arch: "arm64" })).toContain("built for darwin x64");
  expect(obstacleInFile(file(Buffer.from("cafebabe00000002", "hex")), { platform: "darwin", arch: "arm64" })).toBeUndefined();
  expect(obstacleInFile(file(pe(0x8664)), { platform: "win32", arch: "x64" })).toBeUndefined();
  expect(obstacleInFile(process.execPath)).toBeUndefined();
});

test.runIf(process.platform === "linux")("a real program that lost its last byte", () => {
  const path = join(folder, "node");
  copyFileSync(process.execPath, path);
  const { size } = statSync(path);
  truncateSync(path, size - 1);
  expect(obstacleInFile(path)).toBe(`is cut short: ${size - 1} of ${size} bytes are there`);
});

test("the C library is told by the program's interpreter", () => {
  const interpreter = (path: string) => file(elf(62, 3, Buffer.from(`${path}\0`)));
  expect(libcOf(interpreter("/lib/ld-musl-x86_64.so.1"))).toBe("musl");
  expect(libcOf(interpreter("/lib64/ld-linux-x86-64.so.2"))).toBe("glibc");
  expect(libcOf(file(elf(62, 1, Buffer.from("/lib/ld-musl-x86_64.so.1\0"))))).toBe("glibc"); // another kind of segment
  expect(libcOf(file(Buffer.from("#!/bin/sh\n")))).toBe("glibc");
  const musl = process.platform === "linux" && readFileSync("/proc/self/maps", "utf8").includes("ld-musl");
  expect(libcOf(process.execPath)).toBe(musl ? "musl" : "glibc");
});
