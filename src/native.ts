/**
 * What the compiled addon exports, as types, and the one instance of it per thread. Arguments are checked by the callers in policy/ and
 * kernels.ts; how the file is found and tried is in native/.
 */
import { availableParallelism } from "node:os";
import { DEVICE_PATTERN, KNOWN_DEVICES } from "./device.js";
import { SiriError } from "./errors.js";
import { type LoadedBinary, loadBinary } from "./native/load.js";

export { packageRoot } from "./native/places.js";

/** Rows as flat arrays; offsets has one entry more than there are rows. */
export interface NativeRows {
  readonly tokens: Int32Array;
  readonly offsets: Int32Array;
  readonly responseStart: Int32Array;
  readonly temperature: Float32Array;
  readonly topK: Int32Array;
  readonly topP: Float32Array;
}

/** Per-token arrays hold one entry per response token, rows end to end. */
export type NativeLoss =
  | {
      readonly kind: "policy";
      readonly scale: number;
      readonly mask: Float32Array;
      readonly advantage: Float32Array;
      readonly oldLogprobs: Float32Array;
      readonly refLogprobs?: Float32Array;
      readonly clipLow: number;
      readonly clipHigh: number;
      readonly dualClip: number;
      readonly klCoef: number;
      readonly entropyCoef: number;
      readonly aggregation: string;
    }
  | {
      readonly kind: "weighted-nll";
      readonly scale: number;
      readonly mask: Float32Array;
      readonly weight: Float32Array;
      /** Negative: the number of mask tokens. */
      readonly normaliser: number;
      readonly promptCoef: number;
    }
  | {
      readonly kind: "distill";
      readonly scale: number;
      readonly weight: Float32Array;
      readonly teacher: NativeRows;
      readonly divergence: string;
      readonly beta: number;
      readonly temperature: number;
    };

/** Every part is present, whatever the loss; those of another kind are 0. */
export interface NativeTrainResult {
  readonly loss: number;
  readonly tokens: number;
  readonly totalTokens: number;
  readonly savedTokens: number;
  readonly policyLoss: number;
  readonly kl: number;
  readonly klMax: number;
  readonly entropy: number;
  readonly clipFraction: number;
  readonly approxKl: number;
  readonly nll: number;
  readonly promptNll: number;
  readonly divergence: number;
  readonly logprobs: Float32Array;
}

/** native/model/config.h */
export interface NativeConfig {
  readonly layers: number;
  readonly hidden: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly intermediate: number;
  readonly vocab: number;
  readonly maxPositions: number;
  readonly rmsEps: number;
  readonly tied: boolean;
  readonly qkvBias: boolean;
  readonly qkNorm: boolean;
  readonly rope: {
    readonly theta: number;
    readonly llama3: boolean;
    readonly factor?: number;
    readonly lowFreqFactor?: number;
    readonly highFreqFactor?: number;
    readonly originalMaxPositions?: number;
  };
}

/** What the operands of matrix products are rounded to; sums, master weights, moments and everything else are float32. */
export const COMPUTE_TYPES = ["float32", "bfloat16"] as const;
export type ComputeType = (typeof COMPUTE_TYPES)[number];

/** Best first. */
export const INSTRUCTION_SETS = ["avx512bf16", "avx512", "avx2", "portable"] as const;
export type InstructionSet = (typeof INSTRUCTION_SETS)[number];

export interface NativeEngineOptions {
  /** "cpu", "cuda", "cuda:N", "auto" (CUDA where it can be used, else the CPU), and "emulated" in builds made for tests. */
  readonly device: string;
  readonly threads: number;
  /** "" for the best this machine has. */
  readonly isa: string;
  readonly dtype: ComputeType;
  readonly maxBatchTokens: number;
  /** The longest row that memory is planned for, when it is above maxBatchTokens. */
  readonly maxRowTokens: number;
  readonly kvCacheMiB: number;
  /** Type that AdamW's moments are kept in. */
  readonly moments: ComputeType;
  readonly sharePrefixes: boolean;
}

export type NativeStore = "weight" | "gradient" | "moment1" | "moment2";

/**
 * Bytes by purpose. Gradients, moments and trainActivations are taken by prepareTraining() or the first train(), packedForTraining by the
 * first train().
 */
export interface EngineMemory {
  readonly weights: number;
  /** Cosines and sines of all positions. */
  readonly positionTables: number;
  /** Copies of the weights in the order the kernels read them. */
  readonly packedWeights: number;
  readonly packedForTraining: number;
  readonly kvCache: number;
  readonly gradients: number;
  readonly moments: number;
  readonly forwardActivations: number;
  readonly trainActivations: number;
  /** What a GPU's operations hold beside, so far. */
  readonly scratch: number;
}

/** The CUDA devices of this machine, or why there is none that this build can use. */
export interface CudaReport {
  readonly devices: readonly {
    readonly name: string;
    /** Compute capability, "9.0". */
    readonly capability: string;
    readonly multiprocessors: number;
    readonly memory: number;
  }[];
  /** CUDA version that the driver is for, and that of the runtime in this build, "12.4"; "" where there is none. */
  readonly driver: string;
  readonly runtime: string;
  /** What keeps device 0 from being used, with what to do; "" when nothing does. */
  readonly obstacle: string;
}

/** One engine: a thread with its weights (native/model/engine.h). `id` names a call, for abort(). */
export interface NativeEngine {
  info(): {
    readonly device: string;
    readonly threads: number;
    readonly cacheTokens: number;
    readonly parameters: number;
    readonly memory: EngineMemory;
  };
  tensors(): readonly { readonly name: string; readonly shape: readonly number[] }[];
  stats(): {
    readonly sampledTokens: number;
    readonly prefillTokens: number;
    readonly prefillTokensSaved: number;
    readonly trainedTokens: number;
    readonly savedTokens: number;
    readonly weightVersion: number;
  };
  abort(id: number): void;
  sample(
    id: number,
    request: {
      readonly prompt: Int32Array;
      readonly maxTokens: number;
      readonly temperature: number;
      readonly topK: number;
      readonly topP: number;
      readonly seed: bigint;
      readonly stop: Int32Array;
    },
  ): Promise<{ tokens: Int32Array; logprobs: Float32Array; finish: "stop" | "length" }>;
  score(id: number, rows: NativeRows): Promise<{ logprobs: Float32Array; entropies: Float32Array }>;
  prepareTraining(id: number): Promise<void>;
  train(id: number, rows: NativeRows, loss: NativeLoss): Promise<NativeTrainResult>;
  update(
    id: number,
    options: {
      readonly lr: number;
      readonly beta1: number;
      readonly beta2: number;
      readonly eps: number;
      readonly weightDecay: number;
      readonly maxGradNorm: number;
    },
  ): Promise<{ gradNorm: number; step: number }>;
  zeroGradients(id: number): Promise<void>;
  read(id: number, store: NativeStore, name: string): Promise<Float32Array>;
  write(id: number, store: NativeStore, name: string, data: Float32Array): Promise<void>;
  initialise(id: number, seed: bigint, deviation: number): Promise<void>;
  step(id: number): Promise<number>;
  setStep(id: number, step: number): Promise<void>;
  /** tensors: store, name, store, name, ... in file order. */
  writeFile(id: number, path: string, header: string, tensors: readonly string[], dtype: string): Promise<void>;
  close(id: number): Promise<void>;
}

/** Work for the benchmarks (native/node/workload.h). */
export interface NativeWorkloadSpec {
  readonly op: string;
  readonly threads: number;
  readonly isa: string;
  readonly dtype: ComputeType;
  readonly rows: number;
  readonly in: number;
  readonly out: number;
}

export interface NativeWorkload {
  /** Seconds by the clock and of processor time, all threads together. */
  run(times: number): [number, number];
}

export interface NativeAddon {
  readonly Workload: new (spec: NativeWorkloadSpec) => NativeWorkload;
  readonly Engine: new (config: NativeConfig, options: NativeEngineOptions) => NativeEngine;
  cuda(): CudaReport;
}

let loaded: LoadedBinary | undefined;

/** The file that the addon is from, why that one, and what was passed over; loads it when that has not been done. @throws as native() */
export function nativeBinary(): LoadedBinary {
  loaded ??= loadBinary();
  return loaded;
}

/**
 * The addon, loaded once per thread: from the path in SIRI_NATIVE when that is set, else from the build of this package, else from the
 * platform package that npm installed.
 * @throws SiriError SIRI_NATIVE with every place tried and why it failed
 */
export function native(): NativeAddon {
  return nativeBinary().addon as NativeAddon;
}

/** Threads of an engine: the option, else SIRI_THREADS, else the number of available cores. */
export function resolveThreads(option: number | undefined): number {
  const text = process.env.SIRI_THREADS;
  const threads = option ?? (text ? Number(text) : availableParallelism());
  if (!Number.isInteger(threads) || threads < 1 || threads > 1024)
    throw new SiriError("SIRI_ARGUMENT", `threads (or SIRI_THREADS) is ${option ?? text}; it must be an integer from 1 to 1024`);
  return threads;
}

/** Device: the option, else SIRI_DEVICE, else "cpu". Whether this build and machine have it is for the engine to say. */
export function resolveDevice(option: string | undefined): string {
  const device = option ?? (process.env.SIRI_DEVICE || "cpu");
  if (typeof device !== "string" || !DEVICE_PATTERN.test(device))
    throw new SiriError("SIRI_ARGUMENT", `device (or SIRI_DEVICE) is ${JSON.stringify(device)}; ${KNOWN_DEVICES}`);
  return device;
}

/** Instruction set: the option, else SIRI_ISA, else "" (the best this machine has). */
export function resolveIsa(option: string | undefined): string {
  const isa = option ?? process.env.SIRI_ISA ?? "";
  if (!["", ...INSTRUCTION_SETS].includes(isa))
    throw new SiriError("SIRI_ARGUMENT", `isa (or SIRI_ISA) is "${isa}"; known are ${INSTRUCTION_SETS.join(", ")}`);
  return isa;
}

/** Turns an error with a `code` thrown by the addon into a SiriError; others pass unchanged. */
export function fromNative(error: unknown): unknown {
  if (error instanceof SiriError || !(error instanceof Error) || !("code" in error)) return error;
  const code = String(error.code);
  return code.startsWith("SIRI_") ? new SiriError(code, error.message, { cause: error }) : error;
}
