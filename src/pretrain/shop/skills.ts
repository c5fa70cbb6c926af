/**
 * Skill texts that fit the strategies: a condition (which department the task belongs to) and a procedure, each in several wordings. Knows
 * no prompt; `when <condition>: <strategy>` is how a prompt may show them.
 */
import type { SkillText } from "../../agent/agent.js";
import type { Rng } from "../../env/household/rng.js";
import { DEPARTMENTS, type Department } from "../../env/shop/words.js";
import { SiriError } from "../../errors.js";
import type { Lessons } from "../lessons.js";
import { type Curriculum, drawMistake } from "./curriculum.js";
import type { Strategy } from "./strategies.js";

const TITLES: Readonly<Record<Department, string>> = {
  beauty: "buy for skin and hair",
  electronics: "buy a device",
  fashion: "buy clothes",
  garden: "buy for the home",
  grocery: "buy food",
};

const CONDITIONS: Readonly<Record<Department, readonly string[]>> = {
  beauty: ["something for skin or hair is wanted", "a beauty product is wanted", "the task names a scent"],
  electronics: ["a device is wanted", "an electronic thing is wanted", "the task names a technical feature"],
  fashion: ["clothes are wanted", "something to wear is wanted", "the task names a color and a size"],
  garden: ["something for the home is wanted", "furniture is wanted", "the task names the size of a home thing"],
  grocery: ["food is wanted", "something to eat is wanted", "the task names a flavor"],
};

const WRONG: Readonly<Record<Exclude<Strategy, "right">, readonly string[]>> = {
  short_query: ["search for the thing alone and buy the first", "use a short search, then take the first one"],
  unchecked: ["open the first one and buy it unread", "buy the first one, features do not matter"],
  reviews: ["look at the reviews, then buy", "open reviews and buy the first one"],
  no_options: ["buy at once and choose nothing", "open it and buy it as it is"],
  one_option: ["choose one option and buy", "one option is enough, then buy"],
  another_value: ["take another size when the wanted one is not offered", "any size will do, choose one and buy"],
  first_hit: ["open the first one whatever it costs", "do not look at prices, take the first one"],
  dearest: ["open the dearest one", "the highest price is the best, open that"],
  browse: ["look at page after page", "walk through the shop and buy nothing"],
};

/** @param strategy `right` (default) or one of the department's mistakes, which the text then recommends @throws SiriError CONFIG_ENVIRONMENT */
export function skillFor(curriculum: Curriculum, department: Department, rng: Rng, strategy: Strategy = "right"): SkillText {
  const { right, mistakes } = curriculum[department];
  if (strategy !== "right" && !mistakes.includes(strategy)) {
    throw new SiriError(
      "CONFIG_ENVIRONMENT",
      `${strategy} is no strategy of the department ${department}; use right, ${mistakes.join(", ")}`,
    );
  }
  const procedures = strategy === "right" ? right : WRONG[strategy];
  return { title: TITLES[department], condition: rng.pick(CONDITIONS[department]), strategy: rng.pick(procedures) };
}

/** A right skill for some other department: it says nothing about this task. */
export function irrelevantSkill(curriculum: Curriculum, department: Department, rng: Rng): SkillText {
  return skillFor(curriculum, rng.pick(DEPARTMENTS.filter((other) => other !== department)), rng);
}

/** Every word that a skill of this curriculum may have, lower case. */
export function skillWords(curriculum: Curriculum): readonly string[] {
  const texts = [TITLES, CONDITIONS, WRONG].flatMap((table) => Object.values<string | readonly string[]>(table).flat());
  const procedures = Object.values(curriculum).flatMap(({ right }) => right);
  return [...texts, ...procedures].join(" ").match(/\p{L}+/gu) ?? [];
}

export function lessonsOf(curriculum: Curriculum): Lessons {
  return {
    types: Object.fromEntries(DEPARTMENTS.map((department) => [department, department])),
    right: (type, rng) => skillFor(curriculum, type as Department, rng),
    bad: (type, rng) => skillFor(curriculum, type as Department, rng, drawMistake(curriculum, type as Department, rng)),
    irrelevant: (type, rng) => irrelevantSkill(curriculum, type as Department, rng),
    isRight: (type, { condition, strategy }) =>
      CONDITIONS[type as Department].includes(condition) && curriculum[type as Department].right.includes(strategy),
  };
}
