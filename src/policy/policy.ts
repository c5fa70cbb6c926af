/**
 * The engine's own policy: a Hugging Face folder in memory, sampled and trained by one native engine. Checks arguments, turns rows
 * into flat arrays and abort signals into flags; knows no text, prompts, environments or algorithms.
 *
 * Order of overlapping calls: sampling requests run side by side; score and train run between two of their steps. update() (and
 * loadOptimiser()) waits until every request made before it is done - those finish with the old weights - and every call made
 * after it waits for it. A train() that fails or is aborted clears all accumulated gradients.
 */
import { mkdir, open, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { SiriError } from "../errors.js";
import {
  COMPUTE_TYPES,
  type ComputeType,
  type EngineMemory,
  fromNative,
  native,
  type NativeEngine,
  resolveDevice,
  resolveIsa,
  resolveThreads,
} from "../native.js";
import {
  checkObject,
  checkOptimiser,
  checkPath,
  checkSample,
  checkSignal,
  flattenLoss,
  flattenRows,
  type Limits,
  splitResponses,
  toSeed,
} from "./checks.js";
import { readCompanions, readModelConfig } from "./folder.js";
import { type ModelConfig, parseModelConfig } from "./model-config.js";
import { safetensorsHeader } from "./safetensors.js";
import { loadOptimiserTensors, loadWeights } from "./weights.js";
import type {
  AdamWOptions,
  DistillLoss,
  DistillRow,
  PolicyHandle,
  PolicyLoss,
  PolicyRow,
  PolicyStats,
  Row,
  Sample,
  SampleOptions,
  TrainResult,
  UpdateResult,
  WeightedLoss,
  WeightedRow,
} from "./types.js";

export interface PolicyOptions {
  /**
   * "cpu", "cuda" (the first GPU), "cuda:N", or "auto": CUDA where this build and machine have it, else the CPU. Default: SIRI_DEVICE, else
   * "cpu". Files are the same whatever the device.
   */
  readonly device?: string;
  /** Default: SIRI_THREADS, else the number of available cores. */
  readonly threads?: number;
  /** "avx512bf16", "avx512", "avx2" or "portable". Default: SIRI_ISA, else the best this machine has. */
  readonly isa?: string;
  /**
   * What the operands of matrix products are rounded to: "bfloat16" is about 1.5 times as fast with AVX512_BF16 and as fast elsewhere.
   * Master weights, moments, sums, attention, norms and the cache stay float32. Default "float32".
   */
  readonly dtype?: ComputeType;
  /** Rows of one forward pass, in tokens; a longer row gets a pass of its own. Default 1024. */
  readonly maxBatchTokens?: number;
  /** The longest row that score() and train() will see, so that memory is planned for it. Default: no more than maxBatchTokens. */
  readonly maxRowTokens?: number;
  /** Memory of the KV cache. Requests wait while it is full. Default 512. */
  readonly kvCacheMiB?: number;
  /**
   * What AdamW's moments are kept in: "bfloat16" halves their memory; the second one is rounded by chance, a function of the step, so that
   * small changes add up. Files hold them as float32. Default "float32".
   */
  readonly moments?: ComputeType;
  /**
   * Compute what prompts and rows begin with in common once, in sampling, scoring and training. Log-probs are the same bits without
   * it, gradients the same but for their last bits; false is for comparing. Default true.
   */
  readonly sharePrefixes?: boolean;
}

const FILE_TYPES = { float32: "F32", bfloat16: "BF16", float16: "F16" } as const;

/** What the file system refuses becomes SIRI_FILE, with its own words. */
async function writing<T>(path: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (e) {
    if (!(e instanceof Error) || !("syscall" in e)) throw e;
    throw new SiriError("SIRI_FILE", `cannot write ${path}: ${e.message}; check that the folder is writable and has room`, { cause: e });
  }
}

/** mkdir with its parents; Node's own `recursive` never returns where a file system answers ENOENT for good (/proc). */
async function makeFolder(dir: string): Promise<void> {
  try {
    await mkdir(dir);
  } catch (e) {
    const { code } = e as NodeJS.ErrnoException;
    if (code === "ENOENT" && dirname(dir) !== dir) {
      await makeFolder(dirname(dir));
      await mkdir(dir);
    } else if (!(code === "EEXIST" || code === "EISDIR" || code === "EROFS") || !(await stat(dir).catch(() => undefined))?.isDirectory())
      throw e;
  }
}

async function writeSynced(path: string, data: string | Uint8Array): Promise<void> {
  const file = await open(path, "w");
  try {
    await file.writeFile(data);
    await file.sync();
  } finally {
    await file.close();
  }
}

export class Policy implements PolicyHandle {
  readonly vocabSize: number;
  readonly maxPositions: number;
  readonly eosTokens: readonly number[];
  /** What the kernels run on: an instruction set, or "cuda:0, NVIDIA H200"; and the threads of the CPU's. */
  readonly device: string;
  readonly threads: number;
  readonly dtype: ComputeType;
  readonly parameters: number;
  /** Positions the KV cache holds, over all running requests. */
  readonly cacheTokens: number;
  readonly #config: ModelConfig;
  readonly #companions: ReadonlyMap<string, Uint8Array>;
  readonly #engine: NativeEngine;
  readonly #tensors: readonly { readonly name: string; readonly shape: readonly number[] }[];
  readonly #limits: Limits;
  readonly #watched = new Map<AbortSignal, { readonly calls: Set<number>; readonly abort: () => void }>();
  #nextCall = 1;
  #closing: Promise<void> | undefined;
  #lastStats: Omit<PolicyStats, "parameters">;
  #lastMemory: EngineMemory;

  private constructor(
    config: ModelConfig,
    eosTokens: readonly number[],
    companions: ReadonlyMap<string, Uint8Array>,
    options: PolicyOptions,
  ) {
    const maxBatchTokens = options.maxBatchTokens ?? 1024;
    const kvCacheMiB = options.kvCacheMiB ?? 512;
    if (!Number.isInteger(maxBatchTokens) || maxBatchTokens < 1 || maxBatchTokens > 1 << 24)
      throw new SiriError("SIRI_ARGUMENT", `maxBatchTokens is ${maxBatchTokens}; it must be an integer from 1 to ${1 << 24}`);
    if (!(kvCacheMiB > 0 && kvCacheMiB <= 1 << 24))
      throw new SiriError("SIRI_ARGUMENT", `kvCacheMiB is ${kvCacheMiB}; it must be a positive number of MiB`);
    const maxRowTokens = options.maxRowTokens ?? 0;
    if (!Number.isInteger(maxRowTokens) || maxRowTokens < 0 || maxRowTokens > 1 << 24)
      throw new SiriError("SIRI_ARGUMENT", `maxRowTokens is ${maxRowTokens}; it must be an integer from 0 to ${1 << 24}`);
    const sharePrefixes = options.sharePrefixes ?? true;
    if (typeof sharePrefixes !== "boolean")
      throw new SiriError("SIRI_ARGUMENT", `sharePrefixes is ${String(sharePrefixes)}; it must be true or false`);
    const device = resolveDevice(options.device);
    const threads = resolveThreads(options.threads);
    const isa = resolveIsa(options.isa);
    const dtype = options.dtype ?? "float32";
    if (!COMPUTE_TYPES.includes(dtype))
      throw new SiriError("SIRI_ARGUMENT", `dtype is ${JSON.stringify(dtype)}; known are ${COMPUTE_TYPES.join(", ")}`);
    const moments = options.moments ?? "float32";
    if (!COMPUTE_TYPES.includes(moments))
      throw new SiriError("SIRI_ARGUMENT", `moments is ${JSON.stringify(moments)}; known are ${COMPUTE_TYPES.join(", ")}`);
    const { Engine } = native();
    try {
      this.#engine = new Engine(config.native, {
        device,
        threads,
        isa,
        dtype,
        maxBatchTokens,
        maxRowTokens,
        kvCacheMiB,
        moments,
        sharePrefixes,
      });
    } catch (e) {
      throw fromNative(e);
    }
    const info = this.#engine.info();
    this.#config = config;
    this.#companions = companions;
    this.#tensors = this.#engine.tensors();
    this.#lastStats = this.#engine.stats();
    this.#lastMemory = info.memory;
    this.vocabSize = config.native.vocab;
    this.maxPositions = config.native.maxPositions;
    this.eosTokens = eosTokens;
    this.device = info.device;
    this.threads = info.threads;
    this.dtype = dtype;
    this.parameters = info.parameters;
    this.cacheTokens = info.cacheTokens;
    this.#limits = { vocab: this.vocabSize, maxPositions: this.maxPositions, cacheTokens: this.cacheTokens };
  }

  /**
   * Reads a Hugging Face folder: config.json, and model.safetensors or the shards of model.safetensors.index.json.
   * Throws SIRI_FILE, SIRI_MODEL_CONFIG or SIRI_WEIGHTS naming every file, field or tensor that does not fit.
   */
  static async load(dir: string, options: PolicyOptions = {}): Promise<Policy> {
    checkPath("dir", dir);
    checkObject("options", options);
    const { config, eosTokens } = await readModelConfig(dir);
    const policy = new Policy(config, eosTokens, await readCompanions(dir), options);
    try {
      await loadWeights(dir, policy.#tensors, (name, data) => policy.#write("weight", name, data));
    } catch (e) {
      await policy.close();
      throw e;
    }
    return policy;
  }

  /** A new policy with random weights (normal with deviation initializer_range; norms 1, biases 0), a function of the seed. */
  static async create(config: unknown, options: PolicyOptions & { readonly seed: number | bigint }): Promise<Policy> {
    checkObject("options", options);
    const parsed = parseModelConfig(config, "config");
    const seed = toSeed(options.seed);
    const policy = new Policy(parsed, parsed.eosTokens, new Map(), options);
    await policy.#run((id) => policy.#engine.initialise(id, seed, parsed.initializerRange));
    return policy;
  }

  async #run<T>(start: (id: number) => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (this.#closing) throw new SiriError("SIRI_CLOSED", "the policy is closed; load it again to use it");
    checkSignal(signal);
    signal?.throwIfAborted();
    const id = this.#nextCall++;
    try {
      const pending = start(id);
      if (signal) this.#watch(signal, id);
      return await pending;
    } catch (e) {
      if (signal?.aborted && e instanceof Error && "code" in e && e.code === "ABORT_ERR") throw signal.reason;
      throw fromNative(e);
    } finally {
      if (signal) this.#unwatch(signal, id);
    }
  }

  // One listener a signal, however many calls share it: hundreds of rollouts may.
  #watch(signal: AbortSignal, id: number): void {
    let watched = this.#watched.get(signal);
    if (!watched) {
      const calls = new Set<number>();
      const abort = () => {
        for (const call of calls) this.#engine.abort(call);
      };
      watched = { calls, abort };
      this.#watched.set(signal, watched);
      signal.addEventListener("abort", abort, { once: true });
    }
    watched.calls.add(id);
  }

  #unwatch(signal: AbortSignal, id: number): void {
    const watched = this.#watched.get(signal);
    if (!watched?.calls.delete(id) || watched.calls.size > 0) return;
    signal.removeEventListener("abort", watched.abort);
    this.#watched.delete(signal);
  }

  #write(store: "weight" | "moment1" | "moment2", name: string, data: Float32Array): Promise<void> {
    return this.#run((id) => this.#engine.write(id, store, name, data));
  }

  async sample(prompt: Int32Array | readonly number[], options: SampleOptions): Promise<Sample> {
    const request = checkSample(prompt, options, this.#limits, this.eosTokens);
    return this.#run((id) => this.#engine.sample(id, request), options.signal);
  }

  async score(
    rows: readonly Row[],
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<{ readonly logprobs: Float32Array[]; readonly entropies: Float32Array[] }> {
    const flat = flattenRows(rows, this.#limits);
    const result = await this.#run((id) => this.#engine.score(id, flat), options.signal);
    return { logprobs: splitResponses(rows, result.logprobs), entropies: splitResponses(rows, result.entropies) };
  }

  async train(
    rows: readonly (PolicyRow | WeightedRow | DistillRow)[],
    loss: PolicyLoss | WeightedLoss | DistillLoss,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<TrainResult> {
    const flat = flattenRows(rows, this.#limits);
    const inputs = flattenLoss(rows, loss, this.#limits);
    const r = await this.#run((id) => this.#engine.train(id, flat, inputs), options.signal);
    const common = {
      loss: r.loss,
      tokens: r.tokens,
      totalTokens: r.totalTokens,
      savedTokens: r.savedTokens,
      logprobs: splitResponses(rows, r.logprobs),
    };
    if (inputs.kind === "policy")
      return {
        ...common,
        policyLoss: r.policyLoss,
        entropy: r.entropy,
        clipFraction: r.clipFraction,
        approxKl: r.approxKl,
        ...(inputs.refLogprobs ? { kl: r.kl, klMax: r.klMax } : {}),
      };
    if (inputs.kind === "weighted-nll") return { ...common, nll: r.nll, ...(inputs.promptCoef > 0 ? { promptNll: r.promptNll } : {}) };
    return { ...common, divergence: r.divergence };
  }

  /**
   * Takes the memory of training now, which train() would do otherwise, and on a GPU runs a pass over a full batch: what does not fit is
   * an error before the first step. Throws SIRI_OUT_OF_MEMORY with the numbers.
   */
  async prepareTraining(): Promise<void> {
    return this.#run((id) => this.#engine.prepareTraining(id));
  }

  /** Planned memory in bytes; `scratch` is what it has come to. */
  get memory(): EngineMemory {
    if (!this.#closing) this.#lastMemory = this.#engine.info().memory;
    return this.#lastMemory;
  }

  async update(optimiser: AdamWOptions): Promise<UpdateResult> {
    const checked = checkOptimiser(optimiser);
    return this.#run((id) => this.#engine.update(id, checked));
  }

  async zeroGradients(): Promise<void> {
    return this.#run((id) => this.#engine.zeroGradients(id));
  }

  async save(dir: string, options: { readonly dtype?: "float32" | "bfloat16" | "float16" } = {}): Promise<void> {
    checkPath("dir", dir);
    checkObject("options", options);
    const dtype = options.dtype ?? "float32";
    const type = Object.hasOwn(FILE_TYPES, dtype) ? FILE_TYPES[dtype] : undefined;
    if (!type) throw new SiriError("SIRI_ARGUMENT", `dtype is "${dtype}"; known are ${Object.keys(FILE_TYPES).join(", ")}`);
    await writing(dir, this.#saveFolder(dir, dtype, type));
  }

  async #saveFolder(dir: string, dtype: keyof typeof FILE_TYPES, type: "F32" | "BF16" | "F16"): Promise<void> {
    await makeFolder(dir);
    const path = join(dir, "model.safetensors");
    const header = safetensorsHeader(this.#tensors, type, { format: "pt" });
    await this.#writeFile(
      path,
      this.#tensors.flatMap((t) => ["weight", t.name]),
      header,
      dtype,
    );
    // Older readers know torch_dtype, newer ones dtype; whichever the folder had is kept.
    const key = "dtype" in this.#config.raw ? "dtype" : "torch_dtype";
    await writeSynced(join(dir, "config.json"), `${JSON.stringify({ ...this.#config.raw, [key]: dtype }, null, 2)}\n`);
    for (const [name, data] of this.#companions) await writeSynced(join(dir, name), data);
  }

  /** All of the file or nothing: what stood there stays until the new one is whole, and half of one is removed. */
  async #writeFile(path: string, list: readonly string[], header: string, dtype: string): Promise<void> {
    const partial = `${path}.partial`;
    try {
      await this.#run((id) => this.#engine.writeFile(id, partial, header, list, dtype));
      await writing(path, rename(partial, path));
    } catch (e) {
      await rm(partial, { force: true }).catch(() => undefined);
      throw e;
    }
  }

  async saveOptimiser(file: string): Promise<void> {
    checkPath("file", file);
    const entries = (["moment1", "moment2"] as const).flatMap((store) => this.#tensors.map((t) => ({ store, ...t })));
    const named = entries.map((e) => ({ name: `${e.store}.${e.name}`, shape: e.shape }));
    // The engine fills in the step when it writes the file, so that both are of one moment.
    const header = safetensorsHeader(named, "F32", { format: "siri-optimiser", step: "0".repeat(20) });
    const list = entries.flatMap((e) => [e.store, e.name]);
    await this.#writeFile(file, list, header, "float32");
  }

  async loadOptimiser(file: string): Promise<void> {
    checkPath("file", file);
    const step = await loadOptimiserTensors(file, this.#tensors, (store, name, data) => this.#write(store, name, data));
    await this.#run((id) => this.#engine.setStep(id, step));
  }

  #named(name: string): string {
    if (!this.#tensors.some((t) => t.name === name))
      throw new SiriError("SIRI_ARGUMENT", `no tensor named "${name}" in this model; tensorNames() lists them`);
    return name;
  }

  async readTensor(name: string): Promise<Float32Array> {
    return this.#run((id) => this.#engine.read(id, "weight", this.#named(name)));
  }

  /** Accumulated gradient; zeros when nothing was trained since the last update. */
  async readGradient(name: string): Promise<Float32Array> {
    return this.#run((id) => this.#engine.read(id, "gradient", this.#named(name)));
  }

  tensorNames(): readonly string[] {
    return this.#tensors.map((t) => t.name);
  }

  /** Counters since the policy was made; those of the last moment when it is closed. */
  stats(): PolicyStats {
    if (!this.#closing) this.#lastStats = this.#engine.stats();
    return { ...this.#lastStats, parameters: this.parameters };
  }

  /** Fails what is unfinished with SIRI_CLOSED and frees the memory. May be called again. */
  async close(): Promise<void> {
    if (!this.#closing) {
      this.#lastStats = this.#engine.stats();
      this.#lastMemory = this.#engine.info().memory;
      this.#closing = this.#engine.close(this.#nextCall++);
    }
    return this.#closing;
  }
}
