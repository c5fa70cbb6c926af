/**
 * The strategies that a shopping demonstrator can follow, by department of the embedded shop, and how often each department is done right
 * out of habit. A demonstration episode draws one strategy and keeps to it.
 */
import type { Rng } from "../../env/household/rng.js";
import type { Department } from "../../env/shop/words.js";

/** `right` ends in a sale that fulfils every wish; all others are typical mistakes, which seldom do. */
export const STRATEGIES = [
  "right",
  /** Searches for the thing without what it should have, and takes the first. */
  "short_query",
  /** Buys the first candidate without reading its features. */
  "unchecked",
  /** Looks at the reviews, of which there are none, instead of the features. */
  "reviews",
  /** Buys without choosing options. */
  "no_options",
  /** Chooses one of two options. */
  "one_option",
  /** Takes another value where the wanted one is not offered. */
  "another_value",
  /** Opens the first result, whatever it costs. */
  "first_hit",
  /** Opens the dearest result. */
  "dearest",
  /** Goes from page to page and buys nothing. */
  "browse",
] as const;
export type Strategy = (typeof STRATEGIES)[number];

export const MISTAKES: Readonly<Record<Department, readonly Strategy[]>> = {
  beauty: ["short_query", "no_options", "browse"],
  electronics: ["unchecked", "reviews", "browse"],
  fashion: ["no_options", "one_option", "browse"],
  garden: ["another_value", "no_options", "browse"],
  grocery: ["first_hit", "dearest", "browse"],
};

/** Probability that a department is done right without a skill in the prompt. */
export type Habits = Readonly<Record<Department, number>>;

/** `right` with the department's probability, otherwise one of its mistakes, each equally likely. */
export function drawStrategy(department: Department, rng: Rng, habits: Habits): Strategy {
  return rng.chance(habits[department]) ? "right" : drawMistake(department, rng);
}

export function drawMistake(department: Department, rng: Rng): Strategy {
  return rng.pick(MISTAKES[department]);
}
