/**
 * A policy's folder as an ONNX folder: model.onnx (and model.onnx_data where it is too big for one protocol buffer, or on request), with
 * the config and tokenizer files beside it, the layout of Hugging Face's exporter. Weights pass through memory one at a time. Knows files;
 * the graph is graph.ts's.
 */
import { existsSync } from "node:fs";
import { type FileHandle, open, readFile, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { SiriError } from "../errors.js";
import { readCompanions, readModelConfig } from "../policy/folder.js";
import { elements } from "../policy/safetensors.js";
import { openWeights, type Tensor, type WeightFiles } from "../policy/weights.js";
import { writeFileDurably, writeFolderDurably } from "../run/durable.js";
import { toFloat16 } from "./float16.js";
import { decoderGraph, type ExportType, IR_VERSION, OPSET, ROPE_TABLES, storedType, weightsOf } from "./graph.js";
import { externalTensor, graph, type LazyBytes, type Message, model, type Piece, tensor } from "./proto.js";
import { ropeTable } from "./rope.js";

export const MODEL_FILE = "model.onnx";
export const DATA_FILE = "model.onnx_data";
export const EXPORT_TYPES: readonly ExportType[] = ["float32", "float16"];

/** Protocol buffers are at most 2 GiB less one byte. */
const PROTOBUF_LIMIT = 2 ** 31 - 1;
/** Tensors in the data file begin at multiples of a page, so that runtimes can map them. */
const PAGE = 4096;

export interface ExportOptions {
  /** Folder of the policy in Hugging Face's layout. */
  readonly policy: string;
  /** Folder to make; must not exist. */
  readonly out: string;
  readonly dtype?: ExportType;
  /** Weights in a file of their own even where one file would hold them. */
  readonly externalData?: boolean;
  /** metadata_props. */
  readonly metadata?: Readonly<Record<string, string>>;
  readonly version: string;
  /** More files to write, by name. */
  readonly files?: Readonly<Record<string, string>>;
}

export interface Exported {
  readonly path: string;
  readonly parameters: number;
  /** Of the model and its data file. */
  readonly bytes: number;
  readonly externalData: boolean;
}

/** A tensor to store: a weight or a rotation table. */
interface Stored extends Tensor {
  readonly type: ExportType;
  read(): Promise<Float32Array>;
}

/**
 * @throws SiriError ONNX_EXPORT_EXISTS, ONNX_EXPORT_RANGE (a weight beyond float16), ONNX_EXPORT_WRITE; SIRI_MODEL_CONFIG (unknown
 * family), SIRI_FILE and SIRI_WEIGHTS of the policy's folder
 */
export async function exportOnnx(options: ExportOptions): Promise<Exported> {
  const dtype = options.dtype ?? "float32";
  const out = resolve(options.out);
  if (!EXPORT_TYPES.includes(dtype)) throw new SiriError("SIRI_ARGUMENT", `dtype is ${dtype}; known are ${EXPORT_TYPES.join(", ")}`);
  if (existsSync(out)) {
    throw new SiriError(
      "ONNX_EXPORT_EXISTS",
      `${options.out} exists already. Name another folder, or remove it first; nothing was written.`,
    );
  }
  const { config } = await readModelConfig(options.policy);
  const { native } = config;
  const companions = new Map<string, string | Uint8Array>([
    ...(await readCompanions(options.policy)),
    ["config.json", await readFile(join(options.policy, "config.json"))],
    ...Object.entries(options.files ?? {}),
  ]);
  const tensors = weightsOf(native);
  const weights = await openWeights(options.policy, tensors);
  const table = (of: "cos" | "sin"): Stored => ({
    name: ROPE_TABLES[of],
    shape: [native.maxPositions, native.headDim / 2],
    type: "float32",
    read: async () => ropeTable(native, of),
  });
  const stored = [...tensors.map((t) => storedWeight(t, dtype, weights)), table("cos"), table("sin")];
  const parts = decoderGraph(native, dtype);
  const message = (initializers: readonly Message[]) =>
    model({
      graph: graph({
        name: native.qkNorm ? "qwen3" : native.qkvBias ? "qwen2" : "llama",
        ...parts,
        initializers: [...parts.constants, ...initializers],
      }),
      irVersion: IR_VERSION,
      opset: OPSET,
      producer: { name: "siri-rl", version: options.version },
      metadata: options.metadata ?? {},
    });

  let whole = message(stored.map((s) => tensor(s.name, s.type, s.shape, bytesOf(s))));
  const externalData = (options.externalData ?? false) || whole.byteLength > PROTOBUF_LIMIT;
  let data: Layout | undefined;
  if (externalData) {
    data = layOut(stored);
    whole = message(stored.map((s, i) => externalTensor(s.name, s.type, s.shape, { file: DATA_FILE, ...data!.places[i]! })));
  }
  try {
    await writeFolderDurably(out, async (dir) => {
      await writePieces(join(dir, MODEL_FILE), whole.pieces);
      if (data) await writePieces(join(dir, DATA_FILE), data.pieces);
      for (const [name, data] of companions) await writeFileDurably(join(dir, name), data);
    });
  } catch (error) {
    throw explained(error, options.out);
  } finally {
    await weights.close();
  }
  return {
    path: join(options.out, MODEL_FILE),
    parameters: tensors.reduce((sum, { shape }) => sum + elements(shape), 0),
    bytes: (await stat(join(out, MODEL_FILE))).size + (externalData ? (await stat(join(out, DATA_FILE))).size : 0),
    externalData,
  };
}

function storedWeight(t: Tensor, dtype: ExportType, weights: WeightFiles): Stored {
  return { ...t, type: storedType(t, dtype), read: () => weights.read(t.name) };
}

function bytesOf({ name, shape, type, read }: Stored): LazyBytes {
  return {
    byteLength: elements(shape) * (type === "float16" ? 2 : 4),
    async read() {
      const values = await read();
      if (type === "float32") return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
      const halves = toFloat16(values);
      const beyond = halves.findIndex((half, i) => (half & 0x7fff) === 0x7c00 && Number.isFinite(values[i]));
      if (beyond >= 0) {
        throw new SiriError(
          "ONNX_EXPORT_RANGE",
          `${name}[${beyond}] is ${values[beyond]}, beyond float16's largest number 65504. Export this policy with --dtype float32.`,
        );
      }
      return new Uint8Array(halves.buffer);
    },
  };
}

interface Layout {
  readonly pieces: readonly Piece[];
  readonly places: readonly { readonly offset: number; readonly length: number }[];
}

/** Where each tensor goes in the data file. */
function layOut(stored: readonly Stored[]): Layout {
  const pieces: Piece[] = [];
  let at = 0;
  const places = stored.map((s) => {
    const gap = (PAGE - (at % PAGE)) % PAGE;
    const bytes = bytesOf(s);
    pieces.push(new Uint8Array(gap), bytes);
    const place = { offset: at + gap, length: bytes.byteLength };
    at = place.offset + place.length;
    return place;
  });
  return { pieces, places };
}

/** Writes the pieces end to end. Small ones are gathered: a graph has tens of thousands. */
async function writePieces(path: string, pieces: readonly Piece[]): Promise<void> {
  const file = await open(path, "wx");
  try {
    let small: Uint8Array[] = [];
    const flush = async () => {
      await writeAll(file, Buffer.concat(small));
      small = [];
    };
    for (const piece of pieces) {
      if (piece instanceof Uint8Array) {
        small.push(piece);
        continue;
      }
      await flush();
      await writeAll(file, await piece.read());
    }
    await flush();
  } finally {
    await file.close();
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  // One write may take at most 2 GiB.
  for (let at = 0; at < bytes.length; ) at += (await file.write(bytes, at, Math.min(bytes.length - at, 1 << 30))).bytesWritten;
}

/** What the file system refuses, with its own words. */
function explained(error: unknown, out: string): unknown {
  if (!(error instanceof Error) || !("syscall" in error)) return error;
  return new SiriError("ONNX_EXPORT_WRITE", `cannot write ${out}: ${error.message}. Name a folder that is writable and has room.`, {
    cause: error,
  });
}
