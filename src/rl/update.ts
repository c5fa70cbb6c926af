/**
 * One iteration's optimiser steps: mini-batches, passes, the clipped policy loss with KL to the base policy, and whatever loss a phase
 * adds. No second pass for old log-probs: the sampled ones are the trainer's. The engine cuts a call into pieces that fit its memory;
 * means are over the whole mini-batch all the same. Knows no phase, no skill, no environment.
 */
import { SiriError } from "../errors.js";
import type {
  AdamWOptions,
  DistillLoss,
  DistillRow,
  PolicyHandle,
  PolicyLoss,
  PolicyRow,
  TrainResult,
  WeightedLoss,
  WeightedRow,
} from "../policy/types.js";
import { batchCount, evenBounds } from "./batch.js";
import { shuffled } from "./seeds.js";

/** A loss beside the policy loss; its rows are spread evenly over the mini-batches and share their optimiser steps. */
export interface ExtraLoss<R extends WeightedRow | DistillRow = WeightedRow | DistillRow> {
  readonly rows: readonly R[];
  /** Its factor in the sum of losses, which `loss` has applied already. */
  readonly scale: number;
  /** The loss over the rows that fall into one mini-batch. */
  loss(batch: readonly R[]): WeightedLoss | DistillLoss;
}

export interface UpdateSettings {
  readonly miniBatchRows: number;
  readonly epochs: number;
  readonly shuffle: boolean;
  readonly loss: Omit<PolicyLoss, "kind" | "scale">;
  readonly optimiser: AdamWOptions;
  /** Seed of the shuffle of a pass. */
  readonly seed: (epoch: number) => bigint;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** Means are over response tokens of all mini-batches and passes. */
export interface UpdateStatistics {
  readonly loss: number;
  readonly policyLoss: number;
  readonly entropy: number;
  readonly clipFraction: number;
  readonly approxKl: number;
  /** Distance of a token's log-prob as sampled and as computed by the first optimiser step, before the weights move: mean and largest. */
  readonly logprobGap: number;
  readonly logprobGapMax: number;
  /** k3 to the base policy; null when klCoef is 0. */
  readonly kl: number | null;
  readonly klQ99: number | null;
  readonly klMax: number | null;
  readonly gradNorm: number;
  readonly gradNormMax: number;
  readonly optimiserSteps: number;
  /** Response tokens that counted, once per pass. */
  readonly tokens: number;
  /** All tokens through the engine, the added loss's included. */
  readonly totalTokens: number;
  /** Tokens that were not, because another row of the same pass began with them, too. */
  readonly savedTokens: number;
  /** Value of the added loss before its factor, mean over the mini-batches that had rows; null without. */
  readonly extraLoss: number | null;
}

/** @param reference the frozen base policy; needed when loss.klCoef > 0 */
export async function optimise(
  policy: PolicyHandle,
  reference: PolicyHandle | null,
  rows: readonly PolicyRow[],
  extra: ExtraLoss | null,
  settings: UpdateSettings,
): Promise<UpdateStatistics> {
  const options = settings.signal ? { signal: settings.signal } : {};
  const withKl = settings.loss.klCoef > 0;
  if (withKl && reference === null)
    throw new SiriError("NO_REFERENCE", "update.klCoef is above 0, but no base policy was opened to compare with.");
  const full: readonly PolicyRow[] = withKl ? await withReference(reference!, rows, options) : rows;

  const batches = batchCount(full.length, settings.miniBatchRows);
  const bounds = evenBounds(full.length, batches);
  const extraBounds = evenBounds(extra?.rows.length ?? 0, batches);
  const sums = new Sums();
  for (let epoch = 0; epoch < settings.epochs; epoch++) {
    const order = settings.shuffle ? shuffled(full.length, settings.seed(epoch)) : null;
    for (let b = 0; b < batches; b++) {
      const batch = range(bounds[b]!, bounds[b + 1]!).map((i) => full[order ? order[i]! : i]!);
      sums.policy(batch, await policy.train(batch, { kind: "policy", ...settings.loss }, options));
      const extraBatch = extra?.rows.slice(extraBounds[b]!, extraBounds[b + 1]!) ?? [];
      if (extra && extraBatch.length > 0) {
        sums.extra(await policy.train(extraBatch, extra.loss(extraBatch), options), extra.scale);
      }
      const { gradNorm } = await policy.update(settings.optimiser);
      sums.step(gradNorm);
      settings.onProgress?.(epoch * batches + b + 1, settings.epochs * batches);
    }
  }
  return sums.statistics(withKl);
}

/** Adds the base policy's log-probs to rows. */
async function withReference(
  reference: PolicyHandle,
  rows: readonly PolicyRow[],
  options: { readonly signal?: AbortSignal },
): Promise<PolicyRow[]> {
  const { logprobs } = await reference.score(
    rows.map(({ tokens, responseStart, temperature }) => ({
      tokens,
      responseStart,
      ...(temperature === undefined ? {} : { temperature }),
    })),
    options,
  );
  return rows.map((row, i) => ({ ...row, refLogprobs: logprobs[i]! }));
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i);
}

/** k3 = exp(ref - lp) - (ref - lp) - 1 per token, not clamped: what the loss clamps is what one wants to see. */
export function k3(logprob: number, reference: number): number {
  const gap = reference - logprob;
  return Math.expm1(gap) - gap;
}

class Sums {
  #loss = 0;
  #policyLoss = 0;
  #entropy = 0;
  #clipped = 0;
  #approxKl = 0;
  #gap = 0;
  #gapMax = 0;
  #gapTokens = 0;
  #kl = 0;
  readonly #k3: number[] = [];
  #norm = 0;
  #normMax = 0;
  #steps = 0;
  #tokens = 0;
  #totalTokens = 0;
  #savedTokens = 0;
  #extra = 0;
  #extraBatches = 0;

  policy(rows: readonly PolicyRow[], result: TrainResult): void {
    const n = result.tokens;
    this.#tokens += n;
    this.#totalTokens += result.totalTokens;
    this.#savedTokens += result.savedTokens;
    this.#loss += result.loss;
    this.#policyLoss += result.policyLoss ?? 0;
    this.#entropy += (result.entropy ?? 0) * n;
    this.#clipped += (result.clipFraction ?? 0) * n;
    this.#approxKl += (result.approxKl ?? 0) * n;
    this.#kl += (result.kl ?? 0) * n;
    rows.forEach((row, r) => {
      if (this.#steps === 0) this.#compare(row.oldLogprobs, result.logprobs[r]!);
      if (!row.refLogprobs) return;
      const found = result.logprobs[r]!;
      for (let j = 0; j < found.length; j++) this.#k3.push(k3(found[j]!, row.refLogprobs[j]!));
    });
  }

  #compare(sampled: Float32Array, trained: Float32Array): void {
    for (let j = 0; j < trained.length; j++) {
      const gap = Math.abs(trained[j]! - sampled[j]!);
      this.#gap += gap;
      this.#gapMax = Math.max(this.#gapMax, gap);
    }
    this.#gapTokens += trained.length;
  }

  extra(result: TrainResult, scale: number): void {
    this.#totalTokens += result.totalTokens;
    this.#savedTokens += result.savedTokens;
    this.#loss += result.loss;
    this.#extra += scale === 0 ? 0 : result.loss / scale;
    this.#extraBatches++;
  }

  step(gradNorm: number): void {
    this.#norm += gradNorm;
    this.#normMax = Math.max(this.#normMax, gradNorm);
    this.#steps++;
  }

  statistics(withKl: boolean): UpdateStatistics {
    const perToken = (sum: number) => (this.#tokens === 0 ? 0 : sum / this.#tokens);
    const perStep = (sum: number) => (this.#steps === 0 ? 0 : sum / this.#steps);
    const sorted = Float64Array.from(this.#k3).sort();
    return {
      loss: perStep(this.#loss),
      policyLoss: perStep(this.#policyLoss),
      entropy: perToken(this.#entropy),
      clipFraction: perToken(this.#clipped),
      approxKl: perToken(this.#approxKl),
      logprobGap: this.#gapTokens === 0 ? 0 : this.#gap / this.#gapTokens,
      logprobGapMax: this.#gapMax,
      kl: withKl ? perToken(this.#kl) : null,
      klQ99: withKl && sorted.length > 0 ? sorted[Math.floor(0.99 * (sorted.length - 1))]! : null,
      klMax: withKl && sorted.length > 0 ? sorted.at(-1)! : null,
      gradNorm: perStep(this.#norm),
      gradNormMax: this.#normMax,
      optimiserSteps: this.#steps,
      tokens: this.#tokens,
      totalTokens: this.#totalTokens,
      savedTokens: this.#savedTokens,
      extraLoss: this.#extraBatches === 0 ? null : this.#extra / this.#extraBatches,
    };
  }
}
