/** Puts a shop together: products to find, goals to shop for, and what a purchase is worth. Everything that all its customers share. */
import { type GoalList, type GoalOptions, goalsOf } from "./goals.js";
import { type NounsOf, nounsOf } from "./nouns.js";
import { type FindResults, resultFinder } from "./results.js";
import { rewardOf } from "./reward.js";
import type { Catalogue, Goal, GoalSource, Product, Reward } from "./types.js";

/** Products that can be searched, and what goals are made of. */
export type Stock = Catalogue & GoalSource;

export interface ShopWorld {
  readonly catalogue: Catalogue;
  readonly goals: GoalList;
  readonly find: FindResults;
  reward(product: Product, choices: ReadonlyMap<string, string>, goal: Goal): Reward;
}

/** @throws SiriError WEBSHOP_GOALS */
export function openWorld(stock: Stock, goalOptions: GoalOptions, nouns: NounsOf = nounsOf()): ShopWorld {
  const goals = goalsOf(stock, goalOptions);
  return {
    catalogue: stock,
    goals,
    find: resultFinder(stock),
    reward: (product, choices, goal) => rewardOf({ product, price: goals.prices[stock.find(product.asin)!]!, choices }, goal, nouns),
  };
}
