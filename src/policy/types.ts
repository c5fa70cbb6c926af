/**
 * The policy seam: tokens in, tokens out. Everything is a promise; everything runs on the engine's own thread, never on
 * libuv's pool. Knows nothing of text, prompts or environments.
 */

/** Settings of one sampling request. Log-probs are those of the distribution that was sampled from, all of this included. */
export interface SampleOptions {
  /** Upper bound on new tokens, >= 1. */
  readonly maxTokens: number;
  /** > 0, or 0 for greedy (arg max; its log-prob is that at temperature 1). Default 1. */
  readonly temperature?: number;
  /** Keep the k most likely tokens; 0 keeps all (default). */
  readonly topK?: number;
  /** Keep the smallest set of most likely tokens whose probability reaches p, in (0, 1]; 1 keeps all (default). */
  readonly topP?: number;
  /** Token ids that end the reply; the stop token is part of `tokens`. Default: the folder's end-of-sequence ids. */
  readonly stop?: readonly number[];
  /** Random numbers are a function of (seed, position) alone. Non-negative safe integer or bigint below 2^64. */
  readonly seed: number | bigint;
  readonly signal?: AbortSignal;
}

export interface Sample {
  /** New tokens, the stop token included. */
  readonly tokens: Int32Array;
  /** One per new token. */
  readonly logprobs: Float32Array;
  readonly finish: "stop" | "length";
}

/** A step row: prompt tokens followed by response tokens, and per-token or scalar loss inputs over the response. */
export interface Row {
  /** Prompt and response end to end. */
  readonly tokens: Int32Array;
  /** Index of the first response token, >= 1. */
  readonly responseStart: number;
  /** The sampling settings the row was made with; default 1 / 0 / 1. They shape log-prob and entropy. */
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
}

/** Inputs of the clipped policy loss for one row. Arrays have one entry per response token. */
export interface PolicyRow extends Row {
  readonly advantage: number | Float32Array;
  readonly oldLogprobs: Float32Array;
  /** Needed when klCoef > 0. */
  readonly refLogprobs?: Float32Array;
  /** 1 = counts, 0 = does not; default all ones. */
  readonly mask?: Float32Array;
}

/** Inputs of weighted negative log-likelihood (imitation, internalisation). */
export interface WeightedRow extends Row {
  /** Per response token; default all ones. */
  readonly weights?: Float32Array;
  /** Tokens that count in the divisor Z; default: all response tokens. Weight 0 tokens may count. */
  readonly mask?: Float32Array;
}

/** Inputs of distillation towards the same weights under another prompt (skill prompt -> plain prompt). */
export interface DistillRow extends Row {
  /** Teacher's tokens: another prompt, the same response tokens at its end. No gradient flows through it. */
  readonly teacher: { readonly tokens: Int32Array; readonly responseStart: number };
  /** Per response token; default all ones. */
  readonly weights?: Float32Array;
}

export type Aggregation = "token-mean" | "seq-mean-token-sum" | "seq-mean-token-mean";

export interface PolicyLoss {
  readonly kind: "policy";
  /** ratio is clipped to [1 - clipLow, 1 + clipHigh]. */
  readonly clipLow: number;
  readonly clipHigh: number;
  /** Bound for negative advantages (dual clip), > 1; 0 switches it off. */
  readonly dualClip: number;
  /** Coefficient of k3 = exp(ref - lp) - (ref - lp) - 1, clamped to [-10, 10]. */
  readonly klCoef: number;
  readonly entropyCoef: number;
  readonly aggregation: Aggregation;
  /** Multiplies the whole loss (lambda, or 1 / number of accumulated batches). Default 1. */
  readonly scale?: number;
}

export interface WeightedLoss {
  /** -(1/Z) sum of mask * weight * logprob, Z = sum of the mask (0 if nothing counts: loss 0). */
  readonly kind: "weighted-nll";
  /** Overrides Z, so that a batch given in several calls has one divisor. */
  readonly normaliser?: number;
  /** Coefficient of next-token loss on the prompt tokens, mean over them (imitation only). Default 0. */
  readonly promptCoef?: number;
  readonly scale?: number;
}

export interface DistillLoss {
  readonly kind: "distill";
  readonly divergence: "forward-kl" | "reverse-kl" | "jsd";
  /** JSD only: m = beta * teacher + (1 - beta) * student, in (0, 1). Default 0.5. */
  readonly beta?: number;
  readonly temperature?: number;
  readonly scale?: number;
}

/**
 * The loss's parts, unscaled; means are over counted response tokens of the given rows (policyLoss: aggregated as the loss is).
 * Terms of another kind are absent.
 */
export interface TrainResult {
  readonly loss: number;
  /** Response tokens that counted. */
  readonly tokens: number;
  /** All tokens run through the engine. */
  readonly totalTokens: number;
  /** Tokens not run because another row began with them, too: with totalTokens, the tokens of the rows one by one. */
  readonly savedTokens: number;
  readonly policyLoss?: number;
  readonly kl?: number;
  readonly entropy?: number;
  readonly clipFraction?: number;
  /** Mean of ratio - 1 - log ratio, the log ratio within [-20, 20]: how far the policy has moved since the rows were sampled. */
  readonly approxKl?: number;
  /** Largest k3 value of a token. */
  readonly klMax?: number;
  readonly nll?: number;
  readonly promptNll?: number;
  readonly divergence?: number;
  /** Per row, per response token: the log-probs this pass computed (bitwise those of `sample` and `score`). */
  readonly logprobs: readonly Float32Array[];
}

export interface AdamWOptions {
  readonly lr: number;
  readonly beta1?: number;
  readonly beta2?: number;
  readonly eps?: number;
  /** Decoupled; applied to tensors of two or more dimensions. */
  readonly weightDecay?: number;
  /** Global gradient-norm bound: gradients are scaled by min(1, maxGradNorm / (norm + 1e-6)); 0 switches it off. */
  readonly maxGradNorm?: number;
}

export interface UpdateResult {
  /** Before clipping. */
  readonly gradNorm: number;
  /** Number of updates since the optimiser state was made. */
  readonly step: number;
}

export interface PolicyStats {
  readonly sampledTokens: number;
  /** Prompt tokens run through the model. */
  readonly prefillTokens: number;
  /** Prompt tokens whose keys and values were in the cache. */
  readonly prefillTokensSaved: number;
  /** Tokens run through the model in training. */
  readonly trainedTokens: number;
  /** Tokens of rows scored or trained on that were not run because another row began with them, too. */
  readonly savedTokens: number;
  readonly weightVersion: number;
  readonly parameters: number;
}

/** What playing needs of a policy: the engine's `Policy` has it, and an exported one in ONNX Runtime. */
export interface Sampler {
  readonly maxPositions: number;
  sample(prompt: Int32Array | readonly number[], options: SampleOptions): Promise<Sample>;
}

/** What the rest of the house needs of the engine. `Policy` in policy.ts is the engine's own. */
export interface PolicyHandle extends Sampler {
  readonly vocabSize: number;
  readonly eosTokens: readonly number[];
  score(
    rows: readonly Row[],
    options?: { readonly signal?: AbortSignal },
  ): Promise<{ readonly logprobs: Float32Array[]; readonly entropies: Float32Array[] }>;
  train(
    rows: readonly (PolicyRow | WeightedRow | DistillRow)[],
    loss: PolicyLoss | WeightedLoss | DistillLoss,
    options?: { readonly signal?: AbortSignal },
  ): Promise<TrainResult>;
  /** Applies the accumulated gradients, then clears them. */
  update(optimiser: AdamWOptions): Promise<UpdateResult>;
  zeroGradients(): Promise<void>;
  /** Writes a Hugging Face folder (config.json, model.safetensors, tokenizer files copied along). */
  save(dir: string, options?: { readonly dtype?: "float32" | "bfloat16" | "float16" }): Promise<void>;
  /** Optimiser moments and step count, for resume: writes / reads one file. */
  saveOptimiser(file: string): Promise<void>;
  loadOptimiser(file: string): Promise<void>;
  readTensor(name: string): Promise<Float32Array>;
  readGradient(name: string): Promise<Float32Array>;
  tensorNames(): readonly string[];
  stats(): PolicyStats;
  close(): Promise<void>;
}
