/**
 * The strategies a demonstrator can follow and how often each task type is done right out of habit. A demonstration episode draws
 * one strategy and keeps to it; everything else about an episode (order of search, slips) is drawn elsewhere.
 */
import type { Rng } from "./rng.js";
import { PROCESS_OF, type Process, TASK_TYPES, type TaskType } from "./tasks.js";

/** `right` reaches the goal; all others are typical mistakes, and an episode that makes one does not win. */
export const STRATEGIES = [
  "right",
  /** Puts the object down at the first place that takes it and is not the target. */
  "elsewhere",
  /** Takes the object and examines it by hand, without the lamp. */
  "by_hand",
  /** Switches the lamp on, without the object. */
  "lamp_only",
  /** Brings the object to the target as it is. */
  "unprocessed",
  /** Cleans, heats or cools what should be treated otherwise. */
  "clean_instead",
  "heat_instead",
  "cool_instead",
  /** Brings one of two. */
  "stop_after_first",
  /** Goes from place to place and takes nothing. */
  "wander",
] as const;
export type Strategy = (typeof STRATEGIES)[number];

const INSTEAD: Readonly<Record<Process, Strategy>> = { clean: "clean_instead", heat: "heat_instead", cool: "cool_instead" };

/** The treatment that a strategy puts in place of the right one. */
export const WRONG_PROCESS: Readonly<Partial<Record<Strategy, Process>>> = {
  clean_instead: "clean",
  heat_instead: "heat",
  cool_instead: "cool",
};

function mistakes(type: TaskType): readonly Strategy[] {
  if (type === "pick_and_place_simple") return ["elsewhere", "wander"];
  if (type === "look_at_obj_in_light") return ["by_hand", "lamp_only", "wander"];
  if (type === "pick_two_obj_and_place") return ["stop_after_first", "wander"];
  const right = PROCESS_OF[type];
  const wrong = (["clean", "heat", "cool"] as const).filter((process) => process !== right).map((process) => INSTEAD[process]);
  return ["unprocessed", ...wrong, "wander"];
}

export const MISTAKES: Readonly<Record<TaskType, readonly Strategy[]>> = Object.fromEntries(
  TASK_TYPES.map((type) => [type, mistakes(type)]),
) as Record<TaskType, readonly Strategy[]>;

/** Probability that a type is done right without a skill in the prompt. */
export type Habits = Readonly<Record<TaskType, number>>;

export const DEFAULT_HABITS: Habits = {
  pick_and_place_simple: 0.8,
  look_at_obj_in_light: 0.35,
  pick_clean_then_place_in_recep: 0.35,
  pick_heat_then_place_in_recep: 0.3,
  pick_cool_then_place_in_recep: 0.35,
  pick_two_obj_and_place: 0.3,
};

/** `right` with the type's probability, otherwise one of its mistakes, each equally likely. */
export function drawStrategy(type: TaskType, rng: Rng, habits: Habits = DEFAULT_HABITS): Strategy {
  return rng.chance(habits[type]) ? "right" : drawMistake(type, rng);
}

export function drawMistake(type: TaskType, rng: Rng): Strategy {
  return rng.pick(MISTAKES[type]);
}
