/** Log-prob, entropy and log-sum-exp of chosen tokens through a language-model head, and the gradient; logits are never stored whole. */
import { finiteNumber, floats, integerIn, object, tokens } from "./check.js";
import { callNative, type NativeGradient } from "./engine.js";

/** Rows of hidden states and the head they go through: logits = hidden x head^T. */
export interface HeadInput {
  /** [rows, width], row-major. */
  readonly hidden: Float32Array;
  /** [vocab, width], row-major. */
  readonly head: Float32Array;
  readonly width: number;
  readonly vocab: number;
}

/** Logits that are ready. */
export interface LogitInput {
  /** [rows, vocab], row-major; left as they are. */
  readonly logits: Float32Array;
  readonly vocab: number;
}

/** The token of each row, [rows], and what its logits are divided by (> 0, default 1). */
export interface Targets {
  readonly target: Int32Array;
  readonly temperature?: number;
}

export interface HeadGradient {
  /** [rows, width] */
  readonly dhidden: Float32Array;
  /** [vocab, width] */
  readonly dhead: Float32Array;
}

export interface LogitGradient {
  /** [rows, vocab] */
  readonly dlogits: Float32Array;
}

/** Each [rows], of softmax(logits / temperature). */
export interface SelectedLogProbs {
  readonly logprob: Float32Array;
  /** In nats. */
  readonly entropy: Float32Array;
  /** Of logits / temperature. */
  readonly logsumexp: Float32Array;
}

const VOCAB_LIMIT = 2 ** 24;

/** Checks the rows of a head or of ready logits, `rows` of them. Returns what native code reads. */
export function checkedSource(input: HeadInput | LogitInput, rows: number): Record<string, unknown> {
  const vocab = integerIn("vocab", input.vocab, 1, VOCAB_LIMIT);
  if ("logits" in input) return { rows, vocab, logits: floats("logits", input.logits, rows * vocab, `rows x vocab (${rows} x ${vocab})`) };
  const width = integerIn("width", input.width, 1, VOCAB_LIMIT);
  return {
    rows,
    vocab,
    width,
    hidden: floats("hidden", input.hidden, rows * width, `rows x width (${rows} x ${width})`),
    head: floats("head", input.head, vocab * width, `vocab x width (${vocab} x ${width})`),
  };
}

/** The same with one target per row; the targets give the number of rows. */
export function checkedTargets(input: (HeadInput | LogitInput) & Targets): { readonly rows: number } & Record<string, unknown> {
  object("input", input);
  const target = tokens("target", input.target, integerIn("vocab", input.vocab, 1, VOCAB_LIMIT));
  const temperature = finiteNumber("temperature", input.temperature ?? 1, (t) => t > 0, "a number above 0");
  return { ...checkedSource(input, target.length), rows: target.length, target, temperature };
}

/** The gradient with respect to whatever was given: hidden and head, or logits. */
export function gradientOf(input: HeadInput | LogitInput, result: NativeGradient): HeadGradient | LogitGradient {
  return "logits" in input ? { dlogits: result.dlogits } : { dhidden: result.dhidden, dhead: result.dhead };
}

/**
 * log softmax(hidden x head^T / temperature) at each row's target, with the entropy and the log-sum-exp of the row. Float32, sums in
 * double; a row's numbers do not depend on the rows around it. Memory: at most 64 MiB of logits at a time.
 * @throws SiriError SIRI_ARGUMENT when a size or a target does not fit.
 */
export function selectedLogProbs(input: HeadInput & Targets): SelectedLogProbs {
  const checked = checkedTargets(input);
  return callNative((kernels) => kernels.selectedLogProbs(checked));
}

/**
 * Gradient of sum(dlogprob * logprob + dentropy * entropy), with d logprob / d logit_v = ([v = target] - p_v) / temperature and
 * d entropy / d logit_v = -p_v (log p_v + entropy) / temperature.
 */
export function selectedLogProbsBackward(
  input: HeadInput & Targets & { readonly dlogprob: Float32Array; readonly dentropy?: Float32Array },
): HeadGradient {
  const source = checkedTargets(input);
  const checked = {
    ...source,
    dlogprob: floats("dlogprob", input.dlogprob, source.rows, "one per row"),
    ...(input.dentropy === undefined ? {} : { dentropy: floats("dentropy", input.dentropy, source.rows, "one per row") }),
  };
  const result = callNative((kernels) => kernels.selectedLogProbsBackward(checked));
  return { dhidden: result.dhidden, dhead: result.dhead };
}
