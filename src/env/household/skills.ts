/**
 * Skill texts that fit the strategies: a condition (when the task is of this type) and a procedure, each in several wordings, and
 * a place to search first if asked for. Knows no prompt; `when <condition>: <strategy>` is how a prompt may show them.
 */
import type { Rng } from "./rng.js";
import { MISTAKES, type Strategy } from "./strategies.js";
import { APPLIANCE_OF, PROCESS_OF, type Process, TASK_TYPES, type TaskType } from "./tasks.js";
import { SiriError } from "../../errors.js";

/** Same shape as the agent's skill text. */
export interface HouseholdSkill {
  readonly title: string;
  readonly condition: string;
  readonly strategy: string;
}

export interface SkillOptions {
  readonly rng: Rng;
  /** `right` (default) or one of the type's mistakes, which the text then recommends. */
  readonly strategy?: Strategy;
  /** Furniture kind to search first. */
  readonly placeHint?: string;
}

const TITLES: Readonly<Record<TaskType, string>> = {
  pick_and_place_simple: "bring a thing to a place",
  look_at_obj_in_light: "look at a thing under a lamp",
  pick_clean_then_place_in_recep: "bring a clean thing",
  pick_heat_then_place_in_recep: "bring a hot thing",
  pick_cool_then_place_in_recep: "bring a cold thing",
  pick_two_obj_and_place: "bring two things",
};

const CONDITIONS: Readonly<Record<TaskType, readonly string[]>> = {
  pick_and_place_simple: ["something must be put somewhere", "one thing must be brought to a place", "a thing is wanted as it is"],
  look_at_obj_in_light: ["something must be seen in light", "a thing must be looked at under a lamp", "the task names a lamp"],
  pick_clean_then_place_in_recep: ["something must be cleaned", "a clean thing is wanted", "the task asks for washing"],
  pick_heat_then_place_in_recep: ["something must be heated", "a hot thing is wanted", "the task asks for warming"],
  pick_cool_then_place_in_recep: ["something must be cooled", "a cold thing is wanted", "the task asks for chilling"],
  pick_two_obj_and_place: ["two things must be put somewhere", "a pair of things is wanted", "the task asks for two"],
};

const FIXED: Readonly<Partial<Record<Strategy, readonly string[]>>> = {
  elsewhere: ["take it and put it down at the next place", "take it, then leave it at any other place"],
  by_hand: ["take it and examine it in your hand", "take it, then examine it"],
  lamp_only: ["find the lamp and use it", "go to the lamp and switch it on"],
  unprocessed: ["take it and put it in the target at once", "take it, then put it straight in the target"],
  stop_after_first: ["take one and put it in the target, then stop", "put one in the target and leave the other"],
  wander: ["go from place to place and look around", "walk around and take nothing"],
};

function treated(process: Process): readonly string[] {
  const appliance = APPLIANCE_OF[process];
  return [
    `take it, ${process} it with ${appliance}, then put it in the target`,
    `take it, go to ${appliance} to ${process} it, then put it in the target`,
    `find it and take it, ${process} it with ${appliance}, bring it to the target`,
  ];
}

function procedures(type: TaskType, strategy: Strategy): readonly string[] {
  if (strategy === "clean_instead") return treated("clean");
  if (strategy === "heat_instead") return treated("heat");
  if (strategy === "cool_instead") return treated("cool");
  if (strategy !== "right") return FIXED[strategy]!;
  const process = PROCESS_OF[type];
  if (process !== undefined) return treated(process);
  if (type === "look_at_obj_in_light") {
    return ["take it, carry it to the lamp, then use the lamp", "find it and take it, go to the lamp and use the lamp"];
  }
  if (type === "pick_two_obj_and_place") {
    return [
      "take one, put it in the target, then take the other and put it there too",
      "put the first in the target, then find the second and put it there too",
    ];
  }
  return ["take it, then put it in the target", "find it and take it, bring it to the target"];
}

/** @throws SiriError (bad_option) when the strategy is not one for this type. */
export function skillFor(type: TaskType, options: SkillOptions): HouseholdSkill {
  const { rng, strategy = "right", placeHint } = options;
  if (strategy !== "right" && !MISTAKES[type].includes(strategy)) {
    throw new SiriError("CONFIG_ENVIRONMENT", `skillFor: ${strategy} is no strategy for ${type}; use right, ${MISTAKES[type].join(", ")}`);
  }
  const hint = placeHint === undefined ? "" : rng.pick([`; try ${placeHint} first`, `; search ${placeHint} first`]);
  return { title: TITLES[type], condition: rng.pick(CONDITIONS[type]), strategy: rng.pick(procedures(type, strategy)) + hint };
}

/** A right skill for some other type: it says nothing about this task. */
export function irrelevantSkill(type: TaskType, rng: Rng): HouseholdSkill {
  return skillFor(rng.pick(TASK_TYPES.filter((other) => other !== type)), { rng });
}

/** Every wording of a type's conditions and of a strategy's procedures, hints left out: what a written skill can be checked against. */
export function skillWordings(
  type: TaskType,
  strategy: Strategy = "right",
): { readonly conditions: readonly string[]; readonly procedures: readonly string[] } {
  return { conditions: CONDITIONS[type], procedures: procedures(type, strategy) };
}
