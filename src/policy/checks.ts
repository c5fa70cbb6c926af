/**
 * The argument checks of the policy, at the border to native code: each error names the argument, its value, the limit and the
 * fix. Also flattens rows and loss inputs into the arrays the engine takes.
 */
import { SiriError } from "../errors.js";
import type { NativeLoss, NativeRows } from "../native.js";
import type {
  AdamWOptions,
  DistillLoss,
  DistillRow,
  PolicyLoss,
  PolicyRow,
  Row,
  SampleOptions,
  WeightedLoss,
  WeightedRow,
} from "./types.js";

export interface Limits {
  readonly vocab: number;
  readonly maxPositions: number;
  /** Positions that fit the KV cache. */
  readonly cacheTokens: number;
}

/** Cache blocks hold this many positions (native/model/kv_cache.h). */
const BLOCK_TOKENS = 16;

function bad(message: string): SiriError {
  return new SiriError("SIRI_ARGUMENT", message);
}

function finite(name: string, value: number, low: number, high: number, fix = ""): number {
  if (typeof value !== "number" || !(value >= low && value <= high))
    throw bad(`${name} is ${value}; it must be a number from ${low} to ${high}${fix}`);
  return value;
}

function integer(name: string, value: number, low: number, high: number): number {
  if (!Number.isInteger(value) || value < low || value > high)
    throw bad(`${name} is ${value}; it must be an integer from ${low} to ${high}`);
  return value;
}

/** An options object, a row or a loss: everything below reads fields of it. */
export function checkObject(name: string, value: unknown): void {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw bad(`${name} is ${Array.isArray(value) ? "an array" : String(value)}; it must be an object with the documented fields`);
}

export function checkSignal(signal: unknown): void {
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw bad("signal is no AbortSignal; give that of an AbortController");
}

export function checkPath(name: string, value: unknown): asserts value is string {
  if (typeof value !== "string" || value === "" || value.includes("\0"))
    throw bad(`${name} is ${JSON.stringify(value)}; it must be a path, a string that is not empty`);
}

function checkTokens(name: string, tokens: ArrayLike<number>, vocab: number): void {
  if (!(tokens instanceof Int32Array) && !Array.isArray(tokens))
    throw bad(`${name} is ${typeof tokens === "object" ? "an object" : String(tokens)}; it must be an Int32Array or an array of token ids`);
  for (let i = 0; i < tokens.length; i++) {
    const t = tokens[i]!;
    if (!(t >= 0 && t < vocab && Number.isInteger(t)))
      throw bad(`${name}[${i}] is ${t}; token ids of this model are integers from 0 to ${vocab - 1}. Is it the right tokenizer?`);
  }
}

function shaping(where: string, s: { temperature?: number; topK?: number; topP?: number }, vocab: number) {
  const temperature = s.temperature ?? 1;
  const topK = s.topK ?? 0;
  const topP = s.topP ?? 1;
  finite(`${where}temperature`, temperature, 0, 1e6, " (0 = greedy)");
  if (temperature > 0 && Math.fround(temperature) < 1e-6) throw bad(`${where}temperature is ${temperature}; use 0 for greedy`);
  integer(`${where}topK`, topK, 0, 2 ** 31 - 1);
  if (!(topP > 0 && topP <= 1)) throw bad(`${where}topP is ${topP}; it must be in (0, 1], 1 keeps all`);
  // Greedy: the log-prob is that of the whole distribution at temperature 1.
  if (temperature === 0) return { temperature: 0, topK: 0, topP: 1 };
  return { temperature, topK: topK >= vocab ? 0 : topK, topP };
}

export function toSeed(seed: number | bigint): bigint {
  if (typeof seed === "bigint" ? seed >= 0n && seed < 1n << 64n : Number.isSafeInteger(seed) && seed >= 0) return BigInt(seed);
  throw bad(`seed is ${seed}; it must be a non-negative safe integer, or a bigint below 2^64`);
}

export function checkSample(prompt: Int32Array | readonly number[], options: SampleOptions, limits: Limits, eos: readonly number[]) {
  checkObject("options", options);
  checkTokens("prompt", prompt, limits.vocab);
  if (prompt.length === 0) throw bad("the prompt is empty; it must hold at least one token");
  const maxTokens = integer("maxTokens", options.maxTokens, 1, 2 ** 31 - 1);
  const total = prompt.length + maxTokens;
  if (total > limits.maxPositions)
    throw new SiriError(
      "SIRI_TOO_LONG",
      `prompt of ${prompt.length} tokens + maxTokens ${maxTokens} = ${total} exceeds the model's max_position_embeddings ${limits.maxPositions}; shorten the prompt or lower maxTokens`,
    );
  if (Math.ceil((total - 1) / BLOCK_TOKENS) * BLOCK_TOKENS > limits.cacheTokens)
    throw new SiriError(
      "SIRI_TOO_LONG",
      `prompt of ${prompt.length} tokens + maxTokens ${maxTokens} needs ${total - 1} cache positions, the KV cache has ${limits.cacheTokens}; raise kvCacheMiB or lower maxTokens`,
    );
  const stop = options.stop ?? eos;
  checkTokens("stop", stop, limits.vocab);
  return {
    prompt: prompt instanceof Int32Array ? prompt : Int32Array.from(prompt),
    maxTokens,
    ...shaping("", options, limits.vocab),
    seed: toSeed(options.seed),
    stop: Int32Array.from(stop),
  };
}

function checkRow(name: string, row: { tokens: Int32Array; responseStart: number }, limits: Limits): void {
  checkObject(name, row);
  if (!(row.tokens instanceof Int32Array)) throw bad(`${name}.tokens must be an Int32Array`);
  checkTokens(`${name}.tokens`, row.tokens, limits.vocab);
  if (row.tokens.length > limits.maxPositions)
    throw new SiriError(
      "SIRI_TOO_LONG",
      `${name} has ${row.tokens.length} tokens, the model's max_position_embeddings is ${limits.maxPositions}; shorten it`,
    );
  if (!Number.isInteger(row.responseStart) || row.responseStart < 1 || row.responseStart > row.tokens.length)
    throw bad(
      `${name}.responseStart is ${row.responseStart}; it must be an integer from 1 to the row's length ${row.tokens.length} (a prompt has at least one token)`,
    );
}

/** Rows end to end. Greedy rows are scored at temperature 1. */
export function flattenRows(rows: readonly Row[], limits: Limits, name = "rows"): NativeRows {
  if (!Array.isArray(rows)) throw bad(`${name} is ${typeof rows}; it must be an array of rows`);
  let total = 0;
  for (const [i, row] of rows.entries()) {
    checkRow(`${name}[${i}]`, row, limits);
    total += row.tokens.length;
  }
  if (total >= 2 ** 31) throw bad(`${name}: ${total} tokens in one call; give fewer than 2^31, in several calls`);
  const flat = {
    tokens: new Int32Array(total),
    offsets: new Int32Array(rows.length + 1),
    responseStart: new Int32Array(rows.length),
    temperature: new Float32Array(rows.length),
    topK: new Int32Array(rows.length),
    topP: new Float32Array(rows.length),
  };
  let at = 0;
  for (const [i, row] of rows.entries()) {
    flat.tokens.set(row.tokens, at);
    at += row.tokens.length;
    flat.offsets[i + 1] = at;
    flat.responseStart[i] = row.responseStart;
    const s = shaping(`${name}[${i}].`, row, limits.vocab);
    flat.temperature[i] = s.temperature === 0 ? 1 : s.temperature;
    flat.topK[i] = s.topK;
    flat.topP[i] = s.topP;
  }
  return flat;
}

export const responseLength = (row: { tokens: Int32Array; responseStart: number }): number => row.tokens.length - row.responseStart;

/** Splits a flat array of response tokens back into rows. */
export function splitResponses(rows: readonly Row[], flat: Float32Array): Float32Array[] {
  let at = 0;
  return rows.map((row) => {
    const part = flat.slice(at, at + responseLength(row));
    at += part.length;
    return part;
  });
}

/** One loss input of all rows end to end: an array per row, one number for all of its tokens, or the default. */
function gather<R extends Row>(
  rows: readonly R[],
  field: string,
  pick: (row: R) => number | Float32Array | undefined,
  options: { fallback?: number; low?: number },
): Float32Array {
  const { fallback, low = Number.NEGATIVE_INFINITY } = options;
  const parts = rows.map(responseLength);
  const out = new Float32Array(parts.reduce((a, b) => a + b, 0));
  let at = 0;
  for (const [i, row] of rows.entries()) {
    const n = parts[i]!;
    const value = pick(row) ?? fallback;
    if (value === undefined) throw bad(`rows[${i}].${field} is missing; this loss needs one value per response token (${n})`);
    if (typeof value === "number") out.fill(value, at, at + n);
    else {
      if (!(value instanceof Float32Array)) throw bad(`rows[${i}].${field} must be a Float32Array`);
      if (value.length !== n)
        throw bad(`rows[${i}].${field} has ${value.length} values, the row has ${n} response tokens; give one for each`);
      out.set(value, at);
    }
    for (let j = at; j < at + n; j++)
      if (!Number.isFinite(out[j]!) || out[j]! < low)
        throw bad(
          `rows[${i}].${field}${typeof value === "number" ? "" : `[${j - at}]`} is ${out[j]}; it must be finite${low > -1e30 ? ` and >= ${low}` : ""}`,
        );
    at += n;
  }
  return out;
}

/** 1 for each token that counts, 0 for each that does not; default all ones. */
function gatherMask<R extends Row & { readonly mask?: Float32Array }>(rows: readonly R[]): Float32Array {
  for (const [i, row] of rows.entries()) {
    const at = row.mask instanceof Float32Array ? row.mask.findIndex((m) => m !== 0 && m !== 1) : -1;
    if (at >= 0)
      throw bad(`rows[${i}].mask[${at}] is ${row.mask![at]}; a token counts (1) or does not (0): scale its advantage or weight instead`);
  }
  return gather(rows, "mask", (r) => r.mask, { fallback: 1 });
}

const AGGREGATIONS = ["token-mean", "seq-mean-token-sum", "seq-mean-token-mean"];
const DIVERGENCES = ["forward-kl", "reverse-kl", "jsd"];
const LARGE = 1e30;

function policyLoss(rows: readonly PolicyRow[], loss: PolicyLoss, scale: number): NativeLoss {
  finite("clipLow", loss.clipLow, 0, 1);
  finite("clipHigh", loss.clipHigh, 0, LARGE);
  if (loss.dualClip !== 0 && !(loss.dualClip > 1)) throw bad(`dualClip is ${loss.dualClip}; it must be greater than 1, or 0 for none`);
  finite("klCoef", loss.klCoef, 0, LARGE);
  finite("entropyCoef", loss.entropyCoef, -LARGE, LARGE);
  if (!AGGREGATIONS.includes(loss.aggregation)) throw bad(`aggregation is "${loss.aggregation}"; known are ${AGGREGATIONS.join(", ")}`);
  const hasReference = loss.klCoef > 0 || (rows.length > 0 && rows.every((r) => r.refLogprobs));
  return {
    kind: "policy",
    scale,
    mask: gatherMask(rows),
    advantage: gather(rows, "advantage", (r) => r.advantage, {}),
    oldLogprobs: gather(rows, "oldLogprobs", (r) => r.oldLogprobs, {}),
    ...(hasReference ? { refLogprobs: gather(rows, "refLogprobs", (r) => r.refLogprobs, {}) } : {}),
    clipLow: loss.clipLow,
    clipHigh: loss.clipHigh,
    dualClip: loss.dualClip,
    klCoef: loss.klCoef,
    entropyCoef: loss.entropyCoef,
    aggregation: loss.aggregation,
  };
}

function weightedLoss(rows: readonly WeightedRow[], loss: WeightedLoss, scale: number): NativeLoss {
  if (loss.normaliser !== undefined) finite("normaliser", loss.normaliser, 0, LARGE);
  return {
    kind: "weighted-nll",
    scale,
    mask: gatherMask(rows),
    weight: gather(rows, "weights", (r) => r.weights, { fallback: 1 }),
    normaliser: loss.normaliser ?? -1,
    promptCoef: finite("promptCoef", loss.promptCoef ?? 0, 0, LARGE),
  };
}

function distillLoss(rows: readonly DistillRow[], loss: DistillLoss, scale: number, limits: Limits): NativeLoss {
  if (!DIVERGENCES.includes(loss.divergence)) throw bad(`divergence is "${loss.divergence}"; known are ${DIVERGENCES.join(", ")}`);
  const beta = loss.beta ?? 0.5;
  if (!(beta > 0 && beta < 1)) throw bad(`beta is ${beta}; it must lie between 0 and 1, both excluded`);
  for (const [i, row] of rows.entries()) {
    if (!row.teacher) throw bad(`rows[${i}].teacher is missing; distillation needs the teacher's tokens`);
    checkRow(`rows[${i}].teacher`, row.teacher, limits);
    const n = responseLength(row);
    const same =
      responseLength(row.teacher) === n &&
      row.tokens.subarray(row.responseStart).every((t, j) => t === row.teacher.tokens[row.teacher.responseStart + j]);
    if (!same)
      throw bad(
        `rows[${i}].teacher: its response tokens differ from the row's (${responseLength(row.teacher)} and ${n} tokens); they must be the same`,
      );
  }
  return {
    kind: "distill",
    scale,
    weight: gather(rows, "weights", (r) => r.weights, { fallback: 1, low: 0 }),
    teacher: flattenRows(
      rows.map((r) => r.teacher),
      limits,
      "teachers",
    ),
    divergence: loss.divergence,
    beta,
    temperature: finite("temperature", loss.temperature ?? 1, 1e-6, 1e6),
  };
}

export function flattenLoss(
  rows: readonly (PolicyRow | WeightedRow | DistillRow)[],
  loss: PolicyLoss | WeightedLoss | DistillLoss,
  limits: Limits,
): NativeLoss {
  checkObject("loss", loss);
  const scale = finite("scale", loss.scale ?? 1, -LARGE, LARGE);
  switch (loss.kind) {
    case "policy":
      return policyLoss(rows as readonly PolicyRow[], loss, scale);
    case "weighted-nll":
      return weightedLoss(rows as readonly WeightedRow[], loss, scale);
    case "distill":
      return distillLoss(rows as readonly DistillRow[], loss, scale, limits);
    default:
      throw bad(`loss kind "${String((loss as { kind: unknown }).kind)}"; known are policy, weighted-nll, distill`);
  }
}

export function checkOptimiser(o: AdamWOptions) {
  checkObject("optimiser", o);
  const beta = (name: string, value: number) => {
    // The engine computes with float32: 1 - beta must not vanish there.
    if (typeof value !== "number" || !(value >= 0 && Math.fround(value) < 1))
      throw bad(`${name} is ${value}; it must be in [0, 1), at most ${1 - 2 ** -24}`);
    return value;
  };
  return {
    lr: finite("lr", o.lr, 0, LARGE),
    beta1: beta("beta1", o.beta1 ?? 0.9),
    beta2: beta("beta2", o.beta2 ?? 0.999),
    eps: finite("eps", o.eps ?? 1e-8, 1e-30, LARGE),
    weightDecay: finite("weightDecay", o.weightDecay ?? 0, 0, LARGE),
    maxGradNorm: finite("maxGradNorm", o.maxGradNorm ?? 0, 0, LARGE),
  };
}
