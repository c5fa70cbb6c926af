/**
 * The clipped policy loss of GiGPO with dual clip, k3 divergence to a reference and entropy bonus, on per-token arrays, through a head, or on
 * ready logits; with gradients.
 *
 *   r    = exp(logprob - oldLogprob)
 *   pg   = max(-A r, -A clip(r, 1 - clipLow, 1 + clipHigh)); for A < 0 at most -A dualClip        (arXiv 2505.10978 eq. 9; dual clip)
 *   kl   = exp(ref - logprob) - (ref - logprob) - 1, clamped to [-10, 10]                          (k3, "low_var_kl")
 *   loss = aggregate(pg + klCoef kl - entropyCoef entropy)
 *
 * token-mean: sum over counted tokens / their number. seq-mean-token-sum: mean over sequences of their sums.
 * seq-mean-token-mean: mean over sequences of their means. The gradient is zero wherever a constant branch or a clamp is chosen.
 */
import type { Aggregation } from "../policy/types.js";
import { defined, finiteNumber, floats, integers, object, oneOf, SiriArgument } from "./check.js";
import { callNative } from "./engine.js";
import {
  checkedTargets,
  gradientOf,
  type HeadGradient,
  type HeadInput,
  type LogitGradient,
  type LogitInput,
  type Targets,
} from "./logprobs.js";

export interface PolicyLossOptions {
  /** Default 0.2, in [0, 1]. */
  readonly clipLow?: number;
  /** Default 0.2, >= 0. */
  readonly clipHigh?: number;
  /** Default 3; > 1, or 0 for none. */
  readonly dualClip?: number;
  /** Default 0.01; above 0 it needs refLogprob. */
  readonly klCoef?: number;
  /** Default 0.001. */
  readonly entropyCoef?: number;
  /** Default "token-mean". */
  readonly aggregation?: Aggregation;
}

/** One entry per token, tokens of all sequences in any order. */
export interface PolicyLossTokens {
  readonly oldLogprob: Float32Array;
  readonly refLogprob?: Float32Array;
  readonly advantage: Float32Array;
  /** 1 = counts, 0 = does not; default all ones. */
  readonly mask?: Float32Array;
  /** Which sequence a token belongs to, any numbers; needed by the two seq-mean aggregations. */
  readonly sequence?: Int32Array;
}

export interface PolicyLossInput extends PolicyLossTokens, PolicyLossOptions {
  readonly logprob: Float32Array;
  /** Needed when entropyCoef is not 0. */
  readonly entropy?: Float32Array;
}

/** Per-token arrays hold every token, counted or not. */
export interface PolicyLossTerms {
  readonly loss: number;
  readonly pg: Float32Array;
  /** All 0 without refLogprob. */
  readonly kl: Float32Array;
  /** 1 where the clip acts: r above its range for A > 0, below it for A < 0. */
  readonly clipped: Uint8Array;
}

export interface PolicyLossGradient {
  readonly dlogprob: Float32Array;
  readonly dentropy: Float32Array;
}

const AGGREGATIONS = ["token-mean", "seq-mean-token-sum", "seq-mean-token-mean"] as const;

function checkedTokens(input: PolicyLossTokens & PolicyLossOptions, rows: number): object {
  const klCoef = finiteNumber("klCoef", input.klCoef ?? 0.01, (c) => c >= 0, "a number of at least 0");
  if (klCoef > 0 && input.refLogprob === undefined)
    throw new SiriArgument(`refLogprob is missing and klCoef is ${klCoef}; give the reference's log-probs or set klCoef to 0.`);
  const aggregation = oneOf("aggregation", input.aggregation ?? "token-mean", AGGREGATIONS);
  if (aggregation !== "token-mean" && input.sequence === undefined)
    throw new SiriArgument(`sequence is missing; aggregation "${aggregation}" needs each token's sequence.`);
  const perToken = "one per token";
  const mask = input.mask === undefined ? undefined : checkedMask(floats("mask", input.mask, rows, perToken));
  return {
    rows,
    klCoef,
    aggregation,
    clipLow: finiteNumber("clipLow", input.clipLow ?? 0.2, (c) => c >= 0 && c <= 1, "from 0 to 1"),
    clipHigh: finiteNumber("clipHigh", input.clipHigh ?? 0.2, (c) => c >= 0, "a number of at least 0"),
    dualClip: finiteNumber("dualClip", input.dualClip ?? 3, (c) => c === 0 || c > 1, "above 1, or 0 for none"),
    entropyCoef: finiteNumber("entropyCoef", input.entropyCoef ?? 0.001, () => true, "a finite number"),
    oldLogprob: defined("oldLogprob", floats("oldLogprob", input.oldLogprob, rows, perToken), mask),
    advantage: defined("advantage", floats("advantage", input.advantage, rows, perToken), mask, true),
    ...(input.refLogprob === undefined
      ? {}
      : { refLogprob: defined("refLogprob", floats("refLogprob", input.refLogprob, rows, perToken), mask) }),
    ...(mask === undefined ? {} : { mask }),
    ...numbered(input.sequence === undefined ? undefined : integers("sequence", input.sequence, rows, perToken)),
  };
}

function checkedMask(mask: Float32Array): Float32Array {
  const wrong = mask.findIndex((m) => m !== 0 && m !== 1);
  if (wrong >= 0)
    throw new SiriArgument(`mask[${wrong}] is ${mask[wrong]}; a token counts (1) or does not (0). Scale the advantage instead.`);
  return mask;
}

/** Sequences under the numbers 0, 1, ... in order of first appearance. */
function numbered(sequence: Int32Array | undefined): { sequence?: Int32Array; sequences: number } {
  if (sequence === undefined) return { sequences: 1 };
  const numbers = new Map<number, number>();
  const renumbered = sequence.map((id) => {
    const known = numbers.get(id) ?? numbers.size;
    numbers.set(id, known);
    return known;
  });
  return { sequence: renumbered, sequences: numbers.size };
}

/** On per-token arrays; loss 0 when no token counts. Gradients are of `loss`. */
export function policyLoss(input: PolicyLossInput): PolicyLossTerms & PolicyLossGradient {
  object("input", input);
  if (!(input.logprob instanceof Float32Array)) throw new SiriArgument("logprob must be a Float32Array with one entry per token.");
  const rows = input.logprob.length;
  if ((input.entropyCoef ?? 0.001) !== 0 && input.entropy === undefined)
    throw new SiriArgument(
      `entropy is missing and entropyCoef is ${input.entropyCoef ?? 0.001}; give the entropies or set entropyCoef to 0.`,
    );
  const checked = {
    ...checkedTokens(input, rows),
    logprob: defined("logprob", input.logprob, input.mask),
    ...(input.entropy === undefined
      ? {}
      : { entropy: defined("entropy", floats("entropy", input.entropy, rows, "one per token"), input.mask) }),
  };
  const { loss, pg, kl, clipped, dlogprob, dentropy } = callNative((kernels) => kernels.policyLoss(checked));
  return { loss, pg, kl, clipped, dlogprob, dentropy };
}

type OnRows = Targets & PolicyLossTokens & PolicyLossOptions;
type RowTerms = PolicyLossTerms & { readonly logprob: Float32Array; readonly entropy: Float32Array };

function onRows(input: (HeadInput | LogitInput) & OnRows): RowTerms & (HeadGradient | LogitGradient) {
  const source = checkedTargets(input);
  const checked = { ...source, ...checkedTokens(input, source.rows) };
  const result = callNative((kernels) => kernels.policyLoss(checked));
  const { loss, pg, kl, clipped, logprob, entropy } = result;
  return { loss, pg, kl, clipped, logprob, entropy, ...gradientOf(input, result) };
}

/** Log-probs and entropies come from hidden x head; the gradient goes back through both. Logits are never stored whole. */
export function policyLossThroughHead(input: HeadInput & OnRows): RowTerms & HeadGradient {
  return onRows(input) as RowTerms & HeadGradient;
}

/** Log-probs and entropies come from ready logits [tokens, vocab]. */
export function policyLossOnLogits(input: LogitInput & OnRows): RowTerms & LogitGradient {
  return onRows(input) as RowTerms & LogitGradient;
}
