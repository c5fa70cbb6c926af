/** What a base report shows its policy: skill texts by task type, right, bad and beside the point. Knows no policy and no environment. */
import type { SkillText } from "../agent/agent.js";
import type { Rng } from "../env/household/rng.js";
import { irrelevantSkill, skillFor, skillWordings } from "../env/household/skills.js";
import { drawMistake } from "../env/household/strategies.js";
import type { TaskType } from "../env/household/tasks.js";

export interface Lessons {
  /** Task type to the head of its column. */
  readonly types: Readonly<Record<string, string>>;
  right(type: string, rng: Rng): SkillText;
  /** Recommends a mistake. */
  bad(type: string, rng: Rng): SkillText;
  /** Right for another type. */
  irrelevant(type: string, rng: Rng): SkillText;
  /** Whether a written skill states, word for word, a right condition and a right procedure for the type. */
  isRight(type: string, skill: SkillText): boolean;
}

const SHORT: Readonly<Record<TaskType, string>> = {
  pick_and_place_simple: "pick",
  look_at_obj_in_light: "look",
  pick_clean_then_place_in_recep: "clean",
  pick_heat_then_place_in_recep: "heat",
  pick_cool_then_place_in_recep: "cool",
  pick_two_obj_and_place: "two",
};

/** Of household and ALFWorld games. */
export const householdLessons: Lessons = {
  types: SHORT,
  right: (type, rng) => skillFor(type as TaskType, { rng }),
  bad: (type, rng) => skillFor(type as TaskType, { rng, strategy: drawMistake(type as TaskType, rng) }),
  irrelevant: (type, rng) => irrelevantSkill(type as TaskType, rng),
  isRight(type, { condition, strategy }) {
    const { conditions, procedures } = skillWordings(type as TaskType);
    return conditions.includes(condition) && procedures.includes(strategy.replace(/; (?:try|search) \S+ first$/, ""));
  },
};
