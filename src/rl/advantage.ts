/**
 * Advantages of step rows by the GiGPO kernel. GRPO is the same with step weight 0. Knows no loss and no formula: those are the kernel's.
 */
import type { Config } from "../config/schema.js";
import { groupAdvantages } from "../kernels.js";
import { arm, type Step, type Trajectory } from "./trajectory.js";

export interface AdvantageSettings {
  readonly advantage: Config["advantage"];
  readonly method: Config["method"];
  /** What is punished: a broken format only, or an inadmissible action, too. */
  readonly invalid: Config["agent"]["invalid"];
}

export function isInvalid(step: Step, rule: Config["agent"]["invalid"]): boolean {
  return !step.wellFormed || (rule === "inadmissible" && !step.admissible);
}

/** One advantage per step row, in the order of `stepRows(trajectories)`, times `advantage.scale`. */
export function stepAdvantages(trajectories: readonly Trajectory[], { advantage, method, invalid }: AdvantageSettings): Float64Array {
  const result = groupAdvantages(
    trajectories.map((trajectory) => ({
      group: trajectory.plan.group,
      arm: arm(trajectory),
      anchors: trajectory.steps.map(({ observation }) => observation.anchor),
      rewards: trajectory.steps.map(({ reward }) => reward),
      valid: trajectory.steps.map((step) => !isInvalid(step, invalid)),
    })),
    {
      gamma: advantage.gamma,
      omega: method === "grpo" ? 0 : advantage.stepWeight,
      invalidPenalty: advantage.invalidPenalty,
      normalisation: advantage.normalisation,
      episodeStatistics: advantage.episodeStatistics,
      pool: advantage.pool,
      ...(advantage.anchorSimilarity === null ? {} : { similarity: advantage.anchorSimilarity }),
    },
  );
  return result.advantage.map((value) => value * advantage.scale);
}
