/**
 * Reading safetensors files tensor by tensor, and making headers for writing them. Knows the format (8 bytes of header length,
 * JSON header, data), its three float types, and nothing of models. Writing the data is the engine's work (native writeFile).
 */
import { type FileHandle, open } from "node:fs/promises";
import { SiriError } from "../errors.js";

export type DType = "F32" | "BF16" | "F16" | "I32" | "I64" | "F64";

const BYTES: Record<string, number> = { F64: 8, I64: 8, F32: 4, I32: 4, BF16: 2, F16: 2 };

export interface TensorEntry {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Bytes from the start of the data. */
  readonly begin: number;
  readonly end: number;
}

export const elements = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);

const areCounts = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((n) => typeof n === "number" && Number.isSafeInteger(n) && n >= 0);

/** An open file: its header, checked against the file's length; data is read on demand. */
export class SafetensorsFile {
  readonly path: string;
  readonly entries: ReadonlyMap<string, TensorEntry>;
  readonly metadata: Readonly<Record<string, string>>;
  readonly #file: FileHandle;
  readonly #dataStart: number;

  private constructor(
    path: string,
    file: FileHandle,
    dataStart: number,
    entries: Map<string, TensorEntry>,
    metadata: Record<string, string>,
  ) {
    this.path = path;
    this.#file = file;
    this.#dataStart = dataStart;
    this.entries = entries;
    this.metadata = metadata;
  }

  /** Throws SIRI_FILE naming the file and what is wrong with it: missing, truncated, or a header that contradicts itself. */
  static async open(path: string): Promise<SafetensorsFile> {
    const bad = (what: string, cause?: unknown) => new SiriError("SIRI_FILE", `${path}: ${what}`, { cause });
    const file = await open(path, "r").catch((e: unknown) => {
      throw bad(`cannot open: ${e instanceof Error ? e.message : String(e)}`, e);
    });
    try {
      const { size } = await file.stat();
      if (size < 8) throw bad(`truncated: ${size} bytes, a safetensors file has at least 8`);
      const prefix = Buffer.alloc(8);
      await file.read(prefix, 0, 8, 0);
      const length = Number(prefix.readBigUInt64LE());
      if (length > 100_000_000 || 8 + length > size)
        throw bad(`truncated or not a safetensors file: its header has ${length} bytes, the file ${size}`);
      const text = Buffer.alloc(length);
      await file.read(text, 0, length, 8);
      let header: unknown;
      try {
        header = JSON.parse(text.toString("utf8"));
      } catch (e) {
        throw bad("its header is not JSON", e);
      }
      if (!isRecord(header)) throw bad("its header is not a JSON object");
      const entries = new Map<string, TensorEntry>();
      let metadata: Record<string, string> = {};
      for (const [name, value] of Object.entries(header)) {
        if (name === "__metadata__") {
          if (!isRecord(value)) throw bad("its __metadata__ is not a JSON object");
          metadata = value as Record<string, string>;
          continue;
        }
        const { dtype, shape, data_offsets: offsets } = isRecord(value) ? value : {};
        if (typeof dtype !== "string" || !areCounts(shape) || !areCounts(offsets) || offsets.length !== 2)
          throw bad(`tensor ${name}: its header entry is malformed`);
        const [begin, end] = offsets as [number, number];
        const width = Object.hasOwn(BYTES, dtype) ? BYTES[dtype] : undefined;
        if (width !== undefined && end - begin !== elements(shape) * width)
          throw bad(`tensor ${name}: ${dtype} of shape [${shape}] takes ${elements(shape) * width} bytes, its header gives ${end - begin}`);
        if (begin > end || 8 + length + end > size)
          throw bad(`truncated: tensor ${name} ends at byte ${8 + length + end}, the file has ${size}; copy or download it again`);
        entries.set(name, { name, dtype, shape, begin, end });
      }
      return new SafetensorsFile(path, file, 8 + length, entries, metadata);
    } catch (e) {
      await file.close();
      throw e instanceof SiriError ? e : bad(`cannot read: ${e instanceof Error ? e.message : String(e)}`, e);
    }
  }

  async #bytes(entry: TensorEntry): Promise<ArrayBuffer> {
    const buffer = new ArrayBuffer(entry.end - entry.begin);
    const view = new Uint8Array(buffer);
    for (let at = 0; at < view.length; ) {
      // One read may return at most 2 GiB.
      const { bytesRead } = await this.#file.read(view, at, Math.min(view.length - at, 1 << 30), this.#dataStart + entry.begin + at);
      if (bytesRead === 0) throw new SiriError("SIRI_FILE", `${this.path}: truncated inside tensor ${entry.name}`);
      at += bytesRead;
    }
    return buffer;
  }

  #entry(name: string): TensorEntry {
    const entry = this.entries.get(name);
    if (!entry) throw new SiriError("SIRI_FILE", `${this.path}: no tensor ${name}`);
    return entry;
  }

  /** The tensor as float32, converted from F32, BF16 or F16 (each exactly). */
  async readFloat32(name: string): Promise<Float32Array> {
    const entry = this.#entry(name);
    if (entry.dtype === "F32") return new Float32Array(await this.#bytes(entry));
    if (entry.dtype === "BF16") return bfloat16ToFloat32(new Uint16Array(await this.#bytes(entry)));
    if (entry.dtype === "F16") return float16ToFloat32(new Uint16Array(await this.#bytes(entry)));
    throw new SiriError("SIRI_FILE", `${this.path}: tensor ${name} is ${entry.dtype}; supported are F32, BF16 and F16`);
  }

  async readInt32(name: string): Promise<Int32Array> {
    const entry = this.#entry(name);
    if (entry.dtype !== "I32") throw new SiriError("SIRI_FILE", `${this.path}: tensor ${name} is ${entry.dtype}; I32 was expected`);
    return new Int32Array(await this.#bytes(entry));
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}

export function bfloat16ToFloat32(bits: Uint16Array): Float32Array {
  const out = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) out[i] = bits[i]! << 16;
  return new Float32Array(out.buffer);
}

let halfTable: Float32Array | undefined;

export function float16ToFloat32(bits: Uint16Array): Float32Array {
  if (!halfTable) {
    halfTable = new Float32Array(65536);
    for (let h = 0; h < 65536; h++) {
      const sign = h & 0x8000 ? -1 : 1;
      const exponent = (h >> 10) & 31;
      const mantissa = h & 1023;
      if (exponent === 31) halfTable[h] = mantissa ? Number.NaN : sign * Number.POSITIVE_INFINITY;
      else if (exponent === 0) halfTable[h] = sign * mantissa * 2 ** -24;
      else halfTable[h] = sign * (1024 + mantissa) * 2 ** (exponent - 25);
    }
  }
  const out = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) out[i] = halfTable[bits[i]!]!;
  return out;
}

/** The header of a file that holds these tensors in this order, padded to a multiple of 8 bytes. */
export function safetensorsHeader(
  tensors: readonly { readonly name: string; readonly shape: readonly number[] }[],
  dtype: "F32" | "BF16" | "F16",
  metadata: Readonly<Record<string, string>>,
): string {
  const header: Record<string, unknown> = { __metadata__: metadata };
  let at = 0;
  for (const t of tensors) {
    const bytes = elements(t.shape) * BYTES[dtype]!;
    header[t.name] = { dtype, shape: t.shape, data_offsets: [at, at + bytes] };
    at += bytes;
  }
  const text = JSON.stringify(header);
  return text + " ".repeat((8 - (Buffer.byteLength(text) % 8)) % 8);
}
