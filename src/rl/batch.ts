/**
 * Rows of training from trajectories, and their division into mini-batches. Every row is used once per pass, none is
 * repeated to fill a batch. Knows no phase and no optimiser.
 */
import type { PolicyRow } from "../policy/types.js";
import type { Step, Trajectory } from "./trajectory.js";

/** A step in its place: the unit that advantages and losses speak of. */
export interface StepRow {
  readonly trajectory: Trajectory;
  readonly step: Step;
}

/** Every step of every trajectory, in order. */
export function stepRows(trajectories: readonly Trajectory[]): StepRow[] {
  return trajectories.flatMap((trajectory) => trajectory.steps.map((step) => ({ trajectory, step })));
}

/** Prompt and reply end to end. */
export function joined(prompt: Int32Array, response: Int32Array): Int32Array {
  const tokens = new Int32Array(prompt.length + response.length);
  tokens.set(prompt);
  tokens.set(response, prompt.length);
  return tokens;
}

/** Rows of the policy loss: old log-probs are the sampled ones, for sampler and trainer are one engine. */
export function policyRows(rows: readonly StepRow[], advantages: Float64Array | Float32Array, temperature: number): PolicyRow[] {
  return rows.map(({ step }, i) => ({
    tokens: joined(step.prompt, step.response),
    responseStart: step.prompt.length,
    temperature,
    advantage: advantages[i]!,
    oldLogprobs: step.logprobs,
  }));
}

/** Bounds of `parts` consecutive pieces of 0 .. n whose lengths differ by one at most. */
export function evenBounds(n: number, parts: number): number[] {
  return Array.from({ length: parts + 1 }, (_, i) => Math.floor((i * n) / parts));
}

/** How many mini-batches of at most `size` rows (0: no limit) hold n rows. */
export function batchCount(n: number, size: number): number {
  return size === 0 ? 1 : Math.max(1, Math.ceil(n / size));
}

/** Share of groups whose members all got the same return: they teach nothing by their episode. */
export function zeroVarianceShare(groups: readonly (readonly Trajectory[])[]): number {
  if (groups.length === 0) return 0;
  return groups.filter((group) => group.every((member) => member.reward === group[0]!.reward)).length / groups.length;
}
