/**
 * Phase 2, advantage-weighted skill internalisation: what was done under a useful skill is learnt under the plain prompt.
 *
 *   L_int = -(1/Z) sum over gated tokens of w log pi(token | plain prompt, tokens before it)
 *   gate:   the step was played with skills, their utility is positive, the token is an action token   (SIRI)
 *   w     = clip(advantage of the step, 0, weightMax)                                                   (clipping SIRI, bounds ours)
 *   Z     = number of gated tokens, or another divisor by config                                        (ours)
 *   lambda(k) = lambdaMax min(1, max(0, k - k0) / rampIterations)                                       (linear SIRI, values ours)
 *
 * The same rows keep their GiGPO term under the skill prompt that they were sampled with. Knows no sampler and no optimiser.
 */
import type { Config } from "../config/schema.js";
import type { DistillRow, WeightedRow } from "../policy/types.js";
import { joined, type StepRow } from "../rl/batch.js";
import type { Step } from "../rl/trajectory.js";
import type { ExtraLoss } from "../rl/update.js";
import type { SkillBank } from "./skill-bank.js";

export type InternaliseSettings = Config["internalise"];

export function lambdaAt(k: number, k0: number, settings: Pick<InternaliseSettings, "lambdaMax" | "rampIterations">): number {
  if (k < k0) return 0;
  return settings.rampIterations === 0 ? settings.lambdaMax : settings.lambdaMax * Math.min(1, (k - k0) / settings.rampIterations);
}

export function weightOf(advantage: number, weightMax: number): number {
  return Math.min(Math.max(advantage, 0), weightMax);
}

/** One step of the skill arm as the gate sees it. `mask` marks the tokens that may be learnt. */
export interface Candidate {
  readonly mask: Float32Array;
  readonly open: boolean;
  readonly weight: number;
}

/** Z over all candidates of an iteration. */
export function divisorOf(candidates: readonly Candidate[], rule: InternaliseSettings["divisor"]): number {
  let sum = 0;
  for (const { mask, open, weight } of candidates) {
    const tokens = mask.reduce((total, value) => total + value, 0);
    if (rule === "action") sum += tokens;
    else if (open) sum += rule === "weights" ? tokens * weight : tokens;
  }
  return sum;
}

export interface Internalisation {
  readonly loss: ExtraLoss;
  readonly lambda: number;
  /** Steps of the skill arm; those of them that passed the gate; those of them with a weight above 0, which are run. */
  readonly steps: number;
  readonly gated: number;
  readonly rows: number;
  /** Action tokens that are learnt. */
  readonly tokens: number;
  /** Mean weight of the rows that are run. */
  readonly weight: number;
}

export interface InternaliseInput {
  readonly rows: readonly StepRow[];
  /** One per row. */
  readonly advantages: ArrayLike<number>;
  /** Paired difference of this iteration by group. */
  readonly deltas: ReadonlyMap<number, number>;
  readonly bank: SkillBank;
  readonly lambda: number;
  readonly temperature: number;
  /** Invalid actions are not learnt. */
  readonly isInvalid: (step: Step) => boolean;
  readonly settings: InternaliseSettings;
}

export function internalise(input: InternaliseInput): Internalisation {
  const { settings, lambda } = input;
  const candidates: (Candidate & { readonly row: StepRow })[] = [];
  input.rows.forEach((row, i) => {
    const { actionMask, response } = row.step;
    if (row.trajectory.plan.skills.length === 0 || actionMask === null) return;
    const mask = settings.span === "action" ? actionMask : new Float32Array(response.length).fill(1);
    candidates.push({ row, mask, open: gate(row, input), weight: weightOf(input.advantages[i]!, settings.weightMax) });
  });
  const learnt = candidates.filter(({ open, weight, mask }) => open && weight > 0 && mask.includes(1));
  const rows = learnt.map(({ row, mask, weight }) => toRow(row, mask, weight, input));
  const divisor = divisorOf(candidates, settings.divisor);
  const loss: ExtraLoss<WeightedRow & Partial<DistillRow>> = {
    rows,
    scale: lambda,
    loss: (batch) => {
      // A mini-batch holds its share of the rows and so gets its share of Z.
      const share = (divisor * batch.length) / rows.length;
      if (settings.teacher === "weighted-nll") return { kind: "weighted-nll", normaliser: share, scale: lambda };
      // The engine divides a divergence by the sum of the weights: undo that, then divide by Z.
      const weights = batch.reduce((sum, row) => sum + row.weights!.reduce((total, value) => total + value, 0), 0);
      return { kind: "distill", divergence: settings.teacher, temperature: input.temperature, scale: (lambda * weights) / share };
    },
  };
  return {
    loss: loss as ExtraLoss,
    lambda,
    steps: candidates.length,
    gated: candidates.filter(({ open }) => open).length,
    rows: rows.length,
    tokens: learnt.reduce((sum, { mask }) => sum + mask.reduce((total, value) => total + value, 0), 0),
    weight: learnt.length === 0 ? 0 : learnt.reduce((sum, { weight }) => sum + weight, 0) / learnt.length,
  };
}

function gate({ trajectory, step }: StepRow, { bank, deltas, settings, isInvalid }: InternaliseInput): boolean {
  if (isInvalid(step)) return false;
  // A skill that was evicted this very iteration counts as one without utility.
  const skills = trajectory.plan.skills.map(({ id }) => bank.get(id));
  const utility = skills.reduce((sum, skill) => sum + (skill?.utility ?? 0), 0) / skills.length;
  if (settings.gateUtility && !(utility > 0)) return false;
  if (settings.gateActive && !skills.some((skill) => skill?.status === "active")) return false;
  return !settings.gateDelta || (deltas.get(trajectory.plan.group) ?? 0) > 0;
}

function toRow({ step }: StepRow, mask: Float32Array, weight: number, input: InternaliseInput): WeightedRow & Partial<DistillRow> {
  const row: WeightedRow = {
    tokens: joined(step.plainPrompt!, step.response),
    responseStart: step.plainPrompt!.length,
    temperature: input.temperature,
    weights: mask.map((value) => value * weight),
  };
  if (input.settings.teacher === "weighted-nll") return { ...row, mask };
  return { ...row, teacher: { tokens: joined(step.prompt, step.response), responseStart: step.prompt.length } };
}
