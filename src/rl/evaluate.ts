/**
 * Evaluation: every task of a split exactly once, with seeds that belong to the task and not to the run, so that two policies, or one
 * policy with and without skills, play the same games with the same random numbers. Knows no phase and no bank: what is shown for a
 * task is given to it.
 */
import type { Task, TaskSet } from "../env/environment.js";
import { SiriError } from "../errors.js";
import { firstObservation, type RolloutParts, type RolloutSettings, rollout } from "./rollout.js";
import { seedFor } from "./seeds.js";
import type { EpisodePlan, ShownSkill, Trajectory } from "./trajectory.js";

export interface EvaluationOptions {
  readonly split: string;
  readonly mode: "plain" | "with_skills";
  /** The first so many tasks; 0 = all. */
  readonly tasks: number;
  readonly temperature: number;
  /** Another one gives every task other random numbers; default 0, the one all comparisons use. */
  readonly seed?: number;
  readonly rollout: Pick<
    RolloutSettings,
    "maxSteps" | "historyLength" | "maxPromptTokens" | "maxResponseTokens" | "concurrency" | "environmentTimeout" | "retries"
  >;
  /** Skills for a task, by its sentence; default none. */
  readonly skillsFor?: (task: Task, sentence: string) => readonly ShownSkill[];
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** Successes of a number of tries with the 95% Wilson interval. */
export interface Rate {
  readonly n: number;
  readonly rate: number;
  readonly low: number;
  readonly high: number;
}

export interface EvaluationGame {
  readonly id: string;
  readonly type: string;
  readonly success: boolean;
  readonly score: number;
  readonly reward: number;
  readonly steps: number;
  readonly skills: readonly string[];
}

export interface EvaluationResult {
  readonly split: string;
  readonly mode: "plain" | "with_skills";
  readonly temperature: number;
  readonly success: Rate;
  readonly byType: Readonly<Record<string, Rate>>;
  readonly score: number;
  readonly meanSteps: number;
  /** Shares of steps. */
  readonly malformed: number;
  readonly inadmissible: number;
  /** Share of games in which a skill was shown. */
  readonly shown: number;
  readonly games: readonly EvaluationGame[];
}

/** Success rate of `successes` in n tries with its 95% Wilson score interval; n = 0 gives the interval [0, 1]. */
export function wilson(successes: number, n: number): Rate {
  if (n === 0) return { n: 0, rate: 0, low: 0, high: 1 };
  const z = 1.959963984540054;
  const rate = successes / n;
  const centre = (rate + (z * z) / (2 * n)) / (1 + (z * z) / n);
  const half = (z / (1 + (z * z) / n)) * Math.sqrt((rate * (1 - rate)) / n + (z * z) / (4 * n * n));
  // At the ends the bound is exact, and rounding would show.
  return { n, rate, low: successes === 0 ? 0 : centre - half, high: successes === n ? 1 : centre + half };
}

/** @throws SiriError EVALUATION_EMPTY when the split has no tasks; and what `rollout` throws */
export async function evaluate(parts: RolloutParts, taskSet: TaskSet, options: EvaluationOptions): Promise<EvaluationResult> {
  const count = options.tasks === 0 ? taskSet.length : Math.min(options.tasks, taskSet.length);
  if (count === 0) throw new SiriError("EVALUATION_EMPTY", `Split ${options.split} has no tasks: name another one, or add data to it.`);
  const plans: EpisodePlan[] = [];
  for (let group = 0; group < count; group++) {
    const task = taskSet.at(group);
    const skills = options.skillsFor
      ? options.skillsFor(task, (await firstObservation(parts, task, options.rollout.environmentTimeout)).task)
      : [];
    plans.push({ iteration: 0, group, member: 0, task, skills });
  }
  const trajectories = await rollout(parts, plans, {
    ...options.rollout,
    temperature: options.temperature,
    seed: (plan, step) => seedFor("evaluation", options.seed ?? 0, plan.group, step),
    keepPlainPrompts: false,
    includeTags: false,
    signal: options.signal,
    onProgress: options.onProgress,
  });
  return summarise(trajectories, options);
}

function summarise(trajectories: readonly Trajectory[], options: EvaluationOptions): EvaluationResult {
  const types = [...new Set(trajectories.map((trajectory) => trajectory.plan.task.type))].sort();
  const rate = (of: readonly Trajectory[]) => wilson(of.filter((trajectory) => trajectory.success).length, of.length);
  const steps = trajectories.flatMap((trajectory) => trajectory.steps);
  const n = trajectories.length;
  return {
    split: options.split,
    mode: options.mode,
    temperature: options.temperature,
    success: rate(trajectories),
    byType: Object.fromEntries(types.map((type) => [type, rate(trajectories.filter((trajectory) => trajectory.plan.task.type === type))])),
    score: trajectories.reduce((sum, trajectory) => sum + trajectory.score, 0) / n,
    meanSteps: steps.length / n,
    malformed: steps.filter((step) => !step.wellFormed).length / steps.length,
    inadmissible: steps.filter((step) => !step.admissible).length / steps.length,
    shown: trajectories.filter((trajectory) => trajectory.plan.skills.length > 0).length / n,
    games: trajectories.map(({ plan, success, score, reward, steps: played }) => ({
      id: plan.task.id,
      type: plan.task.type,
      success,
      score,
      reward,
      steps: played.length,
      skills: plan.skills.map((skill) => skill.id),
    })),
  };
}
