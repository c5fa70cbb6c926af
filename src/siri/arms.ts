/**
 * Paired rollouts: in one task group some members see skills and the others do not; the difference of the arms is the skills' effect
 * (SIRI: delta_g = R_g^skill - R_g^base). Which member sees what is fixed by its index, not drawn.
 */
import { type Config, skillMembers } from "../config/schema.js";
import type { Trajectory } from "../rl/trajectory.js";

/** Whether a member of a group sees skills. */
export function seesSkills(member: number, groupSize: number, settings: Config["arms"]): boolean {
  const shown = skillMembers(groupSize, settings.skillFraction);
  if (settings.assignment === "block") return member < shown;
  return Math.floor(((member + 1) * shown) / groupSize) > Math.floor((member * shown) / groupSize);
}

export interface Comparison {
  readonly group: number;
  readonly task: string;
  /** Skills that the skill arm was shown. */
  readonly skills: readonly string[];
  readonly skillMembers: readonly number[];
  /** Mean of each arm on the scale asked for. */
  readonly skillArm: number;
  readonly plainArm: number;
  readonly delta: number;
}

/** The effect measured in one group; null when it has but one arm. */
export function compareArms(group: readonly Trajectory[], scale: "success" | "reward"): Comparison | null {
  const skilled = group.filter((trajectory) => trajectory.plan.skills.length > 0);
  const plain = group.filter((trajectory) => trajectory.plan.skills.length === 0);
  if (skilled.length === 0 || plain.length === 0) return null;
  const value = (trajectory: Trajectory) => (scale === "reward" ? trajectory.reward : trajectory.success ? 1 : 0);
  const mean = (arm: readonly Trajectory[]) => arm.reduce((sum, trajectory) => sum + value(trajectory), 0) / arm.length;
  const [skillArm, plainArm] = [mean(skilled), mean(plain)];
  return {
    group: skilled[0]!.plan.group,
    task: skilled[0]!.plan.task.id,
    skills: skilled[0]!.plan.skills.map((skill) => skill.id),
    skillMembers: skilled.map((trajectory) => trajectory.plan.member),
    skillArm,
    plainArm,
    delta: skillArm - plainArm,
  };
}
