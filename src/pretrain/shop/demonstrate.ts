/**
 * Plays a shopping task with the scripted customer and writes down what it wanted, what was executed and why. Slips replace some executed
 * actions; they are never targets. Histories must show `executed`, which is what led to the next observation.
 */
import { clicked, type ShopPage } from "../../agent/shop-page.js";
import type { Observation, StepResult } from "../../env/environment.js";
import type { Rng } from "../../env/household/rng.js";
import { ShopExpert, type ShopExpertOptions } from "./expert.js";

/** A shopping task that is played by text: the first observation is there, `step` gives the next. */
export interface ShopPlay {
  readonly first: Observation;
  step(action: string): StepResult;
}

export interface DemonstrateOptions extends ShopExpertOptions {
  /** Probability that something else is executed than what was wanted. Default 0. */
  readonly noise?: number;
  readonly maxSteps: number;
}

export interface DemonstratedStep {
  readonly observation: Observation;
  /** What the customer wanted: the imitation target. */
  readonly action: string;
  /** What was executed: `action`, or a slip. */
  readonly executed: string;
  readonly think: string;
}

export interface Demonstration {
  readonly steps: readonly DemonstratedStep[];
  readonly success: boolean;
  /** Of the purchase; 0 without one. */
  readonly score: number;
}

/** Slips that are offered but not wanted; the others cannot be done. */
const OFFERED_SLIPS = 0.6;
/** Steps of an episode that buys nothing. */
const BROWSE_STEPS = 4;

export function demonstrate(play: ShopPlay, { noise = 0, maxSteps, ...options }: DemonstrateOptions): Demonstration {
  const { rng, strategy } = options;
  const expert = new ShopExpert(play.first, options);
  const steps: DemonstratedStep[] = [];
  const most = strategy === "browse" ? Math.min(maxSteps, BROWSE_STEPS) : maxSteps;
  let observation = play.first;
  while (steps.length < most) {
    const { action, think } = expert.decide();
    const executed = rng.chance(noise) ? slip(observation, expert.reading.page, rng) : action;
    steps.push({ observation, action, executed, think });
    const next = play.step(executed);
    if (next.done) return { steps, success: next.success, score: next.score ?? 0 };
    expert.read(executed, next);
    observation = next;
  }
  return { steps, success: false, score: 0 };
}

/** A click that is offered, purchases excepted, or a plausible one that is not. */
function slip({ actions = [] }: Observation, page: ShopPage, rng: Rng): string {
  const offered = actions.filter((action) => clicked(action) !== null && action !== "click[buy now]");
  if (offered.length > 0 && rng.chance(OFFERED_SLIPS)) return rng.pick(offered);
  const products = page.kind === "results" ? page.items.map(({ asin }) => asin) : [];
  const names = [
    "buy now",
    "features",
    "description",
    "< prev",
    "next >",
    ...products.map((asin) => `${asin.slice(0, -1)}${rng.int(0, 9)}`),
  ];
  const impossible = names.map((name) => `click[${name}]`).filter((action) => !actions.includes(action));
  return rng.pick(impossible);
}
