/** Helpers of the policy tests: golden cases, safetensors files made by hand, temporary folders, random rows. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll } from "vitest";
import { SafetensorsFile } from "../../src/policy/safetensors.js";

export const goldenRoot = join(dirname(fileURLToPath(import.meta.url)), "..", "goldens", "model");
export const goldenCases = ["qwen2-tied", "qwen2-untied", "qwen3-tied", "llama3-rope"] as const;
export const goldenDir = (name: string): string => join(goldenRoot, name);

/** All tensors of a file; I32 as Int32Array. */
export async function readAll(path: string): Promise<Map<string, Float32Array | Int32Array>> {
  const file = await SafetensorsFile.open(path);
  const out = new Map<string, Float32Array | Int32Array>();
  for (const e of file.entries.values()) out.set(e.name, e.dtype === "I32" ? await file.readInt32(e.name) : await file.readFloat32(e.name));
  await file.close();
  return out;
}

export interface RawTensor {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

/** The tensors of a file as bytes. */
export async function readRaw(path: string): Promise<RawTensor[]> {
  const bytes = await readFile(path);
  const start = 8 + Number(bytes.readBigUInt64LE());
  const file = await SafetensorsFile.open(path);
  const out = [...file.entries.values()].map((e) => ({ ...e, data: new Uint8Array(bytes.subarray(start + e.begin, start + e.end)) }));
  await file.close();
  return out;
}

export async function writeRaw(path: string, tensors: readonly RawTensor[]): Promise<void> {
  const header: Record<string, unknown> = {};
  let at = 0;
  for (const t of tensors) {
    header[t.name] = { dtype: t.dtype, shape: t.shape, data_offsets: [at, at + t.data.length] };
    at += t.data.length;
  }
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  await writeFile(path, Buffer.concat([length, text, ...tensors.map((t) => t.data)]));
}

export const floats = (t: RawTensor): Float32Array => new Float32Array(t.data.slice().buffer);
export const fromFloats = (t: RawTensor, values: Float32Array): RawTensor => ({ ...t, data: new Uint8Array(values.slice().buffer) });

const made: string[] = [];

/** A folder that is removed after the test file. */
export async function temporaryFolder(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "siri-policy-"));
  made.push(dir);
  return dir;
}
afterAll(async () => {
  for (const dir of made) await rm(dir, { recursive: true, force: true });
});

/** A small repeatable generator for test data (mulberry32). */
export function random(seed: number): () => number {
  let s = seed >>> 0;
  return () => {
    s = (s + 0x6d2b79f5) >>> 0;
    let t = s;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export const randomTokens = (next: () => number, n: number, vocab: number): Int32Array =>
  Int32Array.from({ length: n }, () => Math.floor(next() * vocab));

/** The bits of a Float32Array, for comparisons that forgive nothing. */
export const bits = (a: Float32Array): number[] => [...new Uint32Array(a.buffer, a.byteOffset, a.length)];
