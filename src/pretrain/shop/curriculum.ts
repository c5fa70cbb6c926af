/**
 * What a demonstrator does in a shop: per department (WebShop's categories) the right procedure in words, the typical mistakes, and how
 * the scripted customer goes about it. One for the embedded shop, one for WebShop's products. Knows no page.
 */

import type { Rng } from "../../env/household/rng.js";
import { DEPARTMENTS, type Department } from "../../env/shop/words.js";
import type { ShopExpertOptions } from "./expert.js";
import type { Strategy } from "./strategies.js";

export interface Lesson {
  /** Wordings of what to do. */
  readonly right: readonly string[];
  readonly mistakes: readonly Exclude<Strategy, "right">[];
  readonly expert: Pick<ShopExpertOptions, "readsFeatures" | "searchesOptions">;
}

export type Curriculum = Readonly<Record<Department, Lesson>>;

/** Every department of the embedded shop has a trap of its own (`env/shop/generate.ts`). */
export const SHOP_CURRICULUM: Curriculum = {
  beauty: {
    right: [
      "search for the thing with all it should have, choose the scent, then buy",
      "name the wanted property in the search, then choose and buy",
    ],
    mistakes: ["short_query", "no_options", "browse"],
    expert: {},
  },
  electronics: {
    right: [
      "read the features of each one and buy only where the wanted one stands",
      "open features first, go on to the next until one has it",
    ],
    mistakes: ["unchecked", "reviews", "browse"],
    expert: { readsFeatures: true },
  },
  fashion: {
    right: ["choose the color and the size, then buy", "choose every option the task names before you buy"],
    mistakes: ["no_options", "one_option", "browse"],
    expert: {},
  },
  garden: {
    right: [
      "go back and open another one when the wanted size is not offered",
      "buy only one that offers the wanted size, else open the next",
    ],
    mistakes: ["another_value", "no_options", "browse"],
    expert: {},
  },
  grocery: {
    right: ["compare the prices and open one below the limit", "skip what is too dear and take one below the limit"],
    mistakes: ["first_hit", "dearest", "browse"],
    expert: {},
  },
};

/** In WebShop's own data every category asks for the same: options are indexed, and a product without the wanted ones is the wrong one. */
const WEBSHOP_LESSON: Lesson = {
  right: [
    "search for everything the task names, go on until one offers all options, choose them, then buy",
    "put the options in the search, open the next one when an option is missing, choose all and buy",
  ],
  mistakes: ["short_query", "no_options", "one_option", "another_value"],
  expert: { searchesOptions: true },
};

export const WEBSHOP_CURRICULUM: Curriculum = Object.fromEntries(DEPARTMENTS.map((department) => [department, WEBSHOP_LESSON])) as Record<
  Department,
  Lesson
>;

/** Probability that a department is done right without a skill in the prompt. */
export type Habits = Readonly<Record<Department, number>>;

/** `right` with the department's probability, otherwise one of its mistakes, each equally likely. */
export function drawStrategy(curriculum: Curriculum, department: Department, rng: Rng, habits: Habits): Strategy {
  return rng.chance(habits[department]) ? "right" : drawMistake(curriculum, department, rng);
}

export function drawMistake(curriculum: Curriculum, department: Department, rng: Rng): Exclude<Strategy, "right"> {
  return rng.pick(curriculum[department].mistakes);
}
