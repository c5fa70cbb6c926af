/**
 * What a rollout leaves behind: trajectories of steps, each step one row of training. Knows no loss and no phase; the arm and the skills
 * are recorded here because they shaped the prompt.
 */
import type { SkillText } from "../agent/agent.js";
import type { Observation, Task } from "../env/environment.js";

/** A skill as it was shown, under the bank's id. */
export interface ShownSkill extends SkillText {
  readonly id: string;
}

/** One episode to play. (iteration, group, member) names it: two results under one name are the same result. */
export interface EpisodePlan {
  readonly iteration: number;
  readonly group: number;
  readonly member: number;
  readonly task: Task;
  /** Shown at every step; none: the plain prompt. */
  readonly skills: readonly ShownSkill[];
}

export interface Step {
  /** What the agent saw before it acted. */
  readonly observation: Observation;
  /** Prompt tokens that the reply was sampled under. */
  readonly prompt: Int32Array;
  /** The same step without skill text; null when no skill was shown, or when it was not asked for. */
  readonly plainPrompt: Int32Array | null;
  /** Reply tokens, the stop token included, and their log-probs under the sampling distribution. */
  readonly response: Int32Array;
  readonly logprobs: Float32Array;
  readonly reply: string;
  /** What was sent to the environment. */
  readonly action: string;
  /** The reply kept the format. */
  readonly wellFormed: boolean;
  /** The action stood in the offered list; true when there was none. */
  readonly admissible: boolean;
  /** Raw reward of the environment. */
  readonly reward: number;
  /** 1 for reply tokens inside the action, 0 for others; null where `plainPrompt` is. */
  readonly actionMask: Float32Array | null;
}

export interface Trajectory {
  readonly plan: EpisodePlan;
  readonly steps: readonly Step[];
  /** Sum of raw rewards. */
  readonly reward: number;
  readonly success: boolean;
  /** The task's own score at the end where the environment has one, else success as 0 or 1. */
  readonly score: number;
  /** Cut off by the step limit before the environment was done. */
  readonly truncated: boolean;
  /** Prompts that had to be built without history to fit. */
  readonly shortened: number;
}

/** Order of results: whatever arrives first, rows are batched in this order. */
export function byName(a: Trajectory, b: Trajectory): number {
  return a.plan.iteration - b.plan.iteration || a.plan.group - b.plan.group || a.plan.member - b.plan.member;
}

export function arm(trajectory: Trajectory): "plain" | "skill" {
  return trajectory.plan.skills.length > 0 ? "skill" : "plain";
}

/** Trajectories of one task group each, in group order. Input in `byName` order. */
export function byGroup(trajectories: readonly Trajectory[]): Trajectory[][] {
  const groups = new Map<number, Trajectory[]>();
  for (const trajectory of trajectories) {
    const list = groups.get(trajectory.plan.group);
    if (list) list.push(trajectory);
    else groups.set(trajectory.plan.group, [trajectory]);
  }
  return [...groups.values()];
}
