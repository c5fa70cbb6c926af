/**
 * An exported policy in ONNX Runtime: greedy replies, several requests to a batch with padding on the left, keys and values carried from
 * step to step. The runtime is handed in, so the same class serves onnxruntime-node and onnxruntime-web. Knows no file and no text, and
 * imports nothing of Node.
 */
import { SiriError } from "../errors.js";
import { checkSample } from "../policy/checks.js";
import type { Sample, SampleOptions, Sampler } from "../policy/types.js";

type TensorData = Float32Array | BigInt64Array | Uint16Array;

export interface OrtTensor {
  readonly data: unknown;
  readonly dims: readonly number[];
}

export interface OrtSession {
  readonly inputMetadata: readonly {
    readonly name: string;
    readonly isTensor: boolean;
    readonly type?: string;
    readonly shape?: readonly (number | string)[];
  }[];
  readonly outputMetadata: OrtSession["inputMetadata"];
  run(feeds: Readonly<Record<string, OrtTensor>>): Promise<Readonly<Record<string, OrtTensor>>>;
  release(): Promise<void>;
}

/** What onnxruntime-node and onnxruntime-web have in common, as far as it is used. */
export interface Ort {
  readonly Tensor: new (type: "float32" | "float16" | "int64", data: TensorData, dims: readonly number[]) => OrtTensor;
  readonly InferenceSession: {
    create(model: string, options?: Readonly<Record<string, unknown>>): Promise<OrtSession>;
    create(model: Uint8Array, options?: Readonly<Record<string, unknown>>): Promise<OrtSession>;
  };
}

export interface OnnxPolicyOptions {
  /** config.json's max_position_embeddings. */
  readonly maxPositions: number;
  /** Tokens that end a reply when a request names none. */
  readonly eosTokens?: readonly number[];
  /** Requests of one batch. Default 16. */
  readonly batch?: number;
}

interface Request {
  readonly prompt: Int32Array;
  readonly maxTokens: number;
  readonly stop: ReadonlySet<number>;
  readonly signal: AbortSignal | undefined;
  readonly resolve: (sample: Sample) => void;
  readonly reject: (reason: unknown) => void;
  readonly tokens: number[];
  readonly logprobs: number[];
  done: boolean;
}

export class OnnxPolicy implements Sampler {
  readonly maxPositions: number;
  readonly eosTokens: readonly number[];
  readonly vocabSize: number;
  readonly #ort: Ort;
  readonly #session: OrtSession;
  readonly #batch: number;
  /** Of an empty cache: names, type and [batch, heads, past, headDim] without batch and past. */
  readonly #cache: readonly {
    readonly name: string;
    readonly type: "float32" | "float16";
    readonly heads: number;
    readonly headDim: number;
  }[];
  readonly #waiting: Request[] = [];
  #working: Promise<void> | undefined;
  #closed = false;

  constructor(ort: Ort, session: OrtSession, options: OnnxPolicyOptions) {
    this.#ort = ort;
    this.#session = session;
    this.#batch = options.batch ?? 16;
    this.maxPositions = options.maxPositions;
    this.eosTokens = options.eosTokens ?? [];
    const vocab = session.outputMetadata.find(({ name }) => name === "logits")?.shape?.[2];
    this.#cache = session.inputMetadata
      .filter(({ name }) => name.startsWith("past_key_values."))
      .map(({ name, type, shape }) => ({
        name,
        type: type as "float32" | "float16",
        heads: Number(shape?.[1]),
        headDim: Number(shape?.[3]),
      }));
    if (typeof vocab !== "number" || this.#cache.length === 0)
      throw new SiriError(
        "ONNX_MODEL",
        "this ONNX model has no logits of a fixed vocabulary or no past_key_values inputs; was it made by `siri export`?",
      );
    this.vocabSize = vocab;
  }

  /**
   * Greedy: `temperature` must be 0, and `seed` has no say. Log-probs are those of the whole distribution at temperature 1.
   * @throws SiriError ONNX_GREEDY, SIRI_ARGUMENT, SIRI_TOO_LONG, SIRI_CLOSED
   */
  async sample(prompt: Int32Array | readonly number[], options: SampleOptions): Promise<Sample> {
    const limits = { vocab: this.vocabSize, maxPositions: this.maxPositions, cacheTokens: Number.POSITIVE_INFINITY };
    const request = checkSample(prompt, options, limits, this.eosTokens);
    if (request.temperature !== 0)
      throw new SiriError(
        "ONNX_GREEDY",
        `temperature is ${request.temperature}; a policy in ONNX Runtime replies greedily, so it must be 0`,
      );
    if (this.#closed) throw new SiriError("SIRI_CLOSED", "this policy is closed");
    options.signal?.throwIfAborted();
    return new Promise<Sample>((resolve, reject) => {
      const { maxTokens, stop } = request;
      this.#waiting.push({
        prompt: request.prompt,
        maxTokens,
        stop: new Set(stop),
        signal: options.signal,
        resolve,
        reject,
        tokens: [],
        logprobs: [],
        done: false,
      });
      this.#working ??= this.#work();
    });
  }

  async #work(): Promise<void> {
    // What is asked for in the same turn of the event loop joins the batch.
    await new Promise((resolve) => setTimeout(resolve));
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, this.#batch);
      try {
        await this.#reply(batch);
      } catch (error) {
        for (const request of batch) request.reject(error);
      }
      await new Promise((resolve) => setTimeout(resolve));
    }
    this.#working = undefined;
  }

  async #reply(batch: readonly Request[]): Promise<void> {
    const rows = batch.length;
    const longest = Math.max(...batch.map(({ prompt }) => prompt.length));
    const padding = batch.map(({ prompt }) => longest - prompt.length);
    let feeds: Record<string, OrtTensor> = { num_logits_to_keep: this.#int64([1], []) };
    for (const { name, type, heads, headDim } of this.#cache)
      feeds[name] = new this.#ort.Tensor(type, type === "float16" ? new Uint16Array(0) : new Float32Array(0), [rows, heads, 0, headDim]);
    let tokens = batch.map(({ prompt }, b) => [...new Array<number>(padding[b]!).fill(0), ...prompt]);
    for (let past = 0; ; ) {
      const total = past + tokens[0]!.length;
      const places = Array.from({ length: total - past }, (_, i) => past + i);
      feeds.input_ids = this.#int64(tokens.flat(), [rows, places.length]);
      feeds.position_ids = this.#int64(
        padding.flatMap((pad) => places.map((place) => Math.max(0, place - pad))),
        [rows, places.length],
      );
      feeds.attention_mask = this.#int64(
        padding.flatMap((pad) => Array.from({ length: total }, (_, i) => (i < pad ? 0 : 1))),
        [rows, total],
      );
      const results = await this.#session.run(feeds);
      const logits = results.logits!.data as Float32Array;
      tokens = batch.map((request, b) => [this.#choose(request, logits.subarray(b * this.vocabSize, (b + 1) * this.vocabSize))]);
      if (batch.every(({ done }) => done)) return;
      feeds = { num_logits_to_keep: feeds.num_logits_to_keep! };
      for (const { name } of this.#cache) feeds[name] = results[name.replace("past_key_values", "present")]!;
      past = total;
    }
  }

  /** Takes the most likely token, the first of equals. What a row that is done takes is of no account. */
  #choose(request: Request, logits: Float32Array): number {
    let best = 0;
    for (let v = 1; v < logits.length; v++) if (logits[v]! > logits[best]!) best = v;
    if (request.done) return best;
    if (request.signal?.aborted) {
      request.done = true;
      request.reject(request.signal.reason);
      return best;
    }
    let sum = 0;
    for (const logit of logits) sum += Math.exp(logit - logits[best]!);
    request.tokens.push(best);
    request.logprobs.push(-Math.log(sum));
    const stopped = request.stop.has(best);
    if (stopped || request.tokens.length === request.maxTokens) {
      request.done = true;
      request.resolve({
        tokens: Int32Array.from(request.tokens),
        logprobs: Float32Array.from(request.logprobs),
        finish: stopped ? "stop" : "length",
      });
    }
    return best;
  }

  #int64(values: readonly number[], dims: readonly number[]): OrtTensor {
    return new this.#ort.Tensor("int64", BigInt64Array.from(values, BigInt), dims);
  }

  /** Waits for what was asked for, then frees the session. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#working;
    await this.#session.release();
  }
}
