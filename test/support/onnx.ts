/** Helpers of the tests of exported policies: the runtime where it is installed, direct runs of a model, an independent reader of the file. */
import { createRequire } from "node:module";
import { join } from "node:path";
import { exportOnnx, type ExportOptions } from "../../src/onnx/export.js";
import type { Ort, OrtSession, OrtTensor } from "../../src/onnx/policy.js";
import { loadOrt } from "../../src/onnx/runtime.js";
import { SiriError } from "../../src/errors.js";
import { temporaryFolder } from "./policy.js";

/** onnxruntime-node, or null; then the tests that need it are skipped, and this says why. */
export const ort: Ort | null = (() => {
  try {
    return loadOrt();
  } catch (error) {
    if (!(error instanceof SiriError)) throw error;
    console.warn(`SKIPPED: tests of exported policies. ${error.message}`);
    return null;
  }
})();

const made = new Map<string, Promise<string>>();

/** A policy's folder exported, once for each set of options. */
export function exported(policy: string, options: Partial<ExportOptions> = {}): Promise<string> {
  const key = JSON.stringify([policy, options]);
  const folder =
    made.get(key) ??
    (async () => {
      const out = join(await temporaryFolder(), "onnx");
      await exportOnnx({ policy, out, version: "1.2.3", ...options });
      return out;
    })();
  made.set(key, folder);
  return folder;
}

export async function session(folder: string): Promise<OrtSession> {
  return ort!.InferenceSession.create(join(folder, "model.onnx"), { intraOpNumThreads: 1, logSeverityLevel: 3 });
}

const int64 = (values: readonly number[], dims: readonly number[]) => new ort!.Tensor("int64", BigInt64Array.from(values, BigInt), dims);

/** Feeds of an empty cache. */
export function emptyCache(of: OrtSession, rows: number): Record<string, OrtTensor> {
  const cache = of.inputMetadata.filter(({ name }) => name.startsWith("past_"));
  return Object.fromEntries(
    cache.map(({ name, type, shape }) => [
      name,
      new ort!.Tensor(type as "float32", type === "float16" ? new Uint16Array(0) : new Float32Array(0), [
        rows,
        Number(shape![1]),
        0,
        Number(shape![3]),
      ]),
    ]),
  );
}

/** One run over rows of equal length, `padding` of them padding on the left; `cache` holds what came before. */
export function run(
  of: OrtSession,
  rows: readonly (readonly number[])[],
  options: { padding?: readonly number[]; cache?: Record<string, OrtTensor>; keep?: number } = {},
) {
  const cache = options.cache ?? emptyCache(of, rows.length);
  const past = Object.values(cache)[0]!.dims[2]!;
  const padding = options.padding ?? rows.map(() => 0);
  const length = rows[0]!.length;
  const places = Array.from({ length }, (_, i) => past + i);
  return of.run({
    ...cache,
    input_ids: int64(rows.flat(), [rows.length, length]),
    position_ids: int64(
      padding.flatMap((pad) => places.map((place) => Math.max(0, place - pad))),
      [rows.length, length],
    ),
    attention_mask: int64(
      padding.flatMap((pad) => Array.from({ length: past + length }, (_, i) => Number(i >= pad))),
      [rows.length, past + length],
    ),
    num_logits_to_keep: int64([options.keep ?? 0], []),
  });
}

/** What a run leaves for the next one. */
export function cacheOf(results: Readonly<Record<string, OrtTensor>>): Record<string, OrtTensor> {
  const present = Object.entries(results).filter(([name]) => name.startsWith("present."));
  return Object.fromEntries(present.map(([name, tensor]) => [name.replace("present", "past_key_values"), tensor]));
}

/** Log-probs of a row's tokens 1, 2, ..., from its logits [length, vocab], in float64. */
export function logprobsOf(logits: Float32Array, tokens: ArrayLike<number>, vocab: number): number[] {
  return Array.from({ length: tokens.length - 1 }, (_, i) => {
    const row = logits.subarray(i * vocab, (i + 1) * vocab);
    const most = row.reduce((a, b) => Math.max(a, b));
    const sum = row.reduce((total, z) => total + Math.exp(z - most), 0);
    return row[tokens[i + 1]!]! - most - Math.log(sum);
  });
}

/** The messages this package writes, as onnx.proto has them, for a reader that is not ours. */
const SCHEMA = `syntax = "proto2"; package onnx;
message AttributeProto { optional string name = 1; optional float f = 2; optional int64 i = 3; optional bytes s = 4; repeated float floats = 7; repeated int64 ints = 8; optional int32 type = 20; }
message NodeProto { repeated string input = 1; repeated string output = 2; optional string name = 3; optional string op_type = 4; repeated AttributeProto attribute = 5; optional string domain = 7; }
message StringStringEntryProto { optional string key = 1; optional string value = 2; }
message TensorProto { repeated int64 dims = 1; optional int32 data_type = 2; optional string name = 8; optional bytes raw_data = 9; repeated StringStringEntryProto external_data = 13; optional int32 data_location = 14; }
message TensorShapeProto { message Dimension { optional int64 dim_value = 1; optional string dim_param = 2; } repeated Dimension dim = 1; }
message TypeProto { message Tensor { optional int32 elem_type = 1; optional TensorShapeProto shape = 2; } optional Tensor tensor_type = 1; }
message ValueInfoProto { optional string name = 1; optional TypeProto type = 2; }
message GraphProto { repeated NodeProto node = 1; optional string name = 2; repeated TensorProto initializer = 5; repeated ValueInfoProto input = 11; repeated ValueInfoProto output = 12; }
message OperatorSetIdProto { optional string domain = 1; optional int64 version = 2; }
message ModelProto { optional int64 ir_version = 1; optional string producer_name = 2; optional string producer_version = 3; optional GraphProto graph = 7; repeated OperatorSetIdProto opset_import = 8; repeated StringStringEntryProto metadata_props = 14; }`;

interface Entry {
  readonly key: string;
  readonly value: string;
}
interface TensorMessage {
  readonly name: string;
  readonly dims: readonly number[];
  readonly data_type: number;
  readonly raw_data?: Uint8Array;
  readonly external_data: readonly Entry[];
}
export interface ModelMessage {
  readonly ir_version: number;
  readonly producer_name: string;
  readonly producer_version: string;
  readonly opset_import: readonly { readonly domain: string; readonly version: number }[];
  readonly metadata_props: readonly Entry[];
  readonly graph: {
    readonly node: readonly { readonly input: readonly string[]; readonly op_type: string; readonly domain: string }[];
    readonly initializer: readonly TensorMessage[];
    readonly input: readonly { readonly name: string }[];
    readonly output: readonly { readonly name: string }[];
  };
}

interface Protobuf {
  parse(
    schema: string,
    options: object,
  ): {
    readonly root: { lookupType(name: string): { decode(bytes: Uint8Array): object; toObject(message: object, options: object): object } };
  };
}

/** A model file through protobufjs, which comes with onnxruntime-web. */
export function decode(bytes: Uint8Array): ModelMessage {
  const require = createRequire(new URL("../../extras/onnxruntime/package.json", import.meta.url));
  const type = (require("protobufjs") as Protobuf).parse(SCHEMA, { keepCase: true }).root.lookupType("onnx.ModelProto");
  return type.toObject(type.decode(bytes), { longs: Number, defaults: true }) as ModelMessage;
}
