/**
 * WebShop as an environment, in one process: steps per second by kind of play and of observation, beside the original in Python; time of a
 * search; and memory over as many steps as one likes. A step is an action, its page as text, the list of what can be done next and the key
 * of its step group. Resets and the player's own choices take time too and are not counted as steps.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { SEARCH_FORM } from "../env/webshop/actions.js";
import { ShopEnvironment } from "../env/webshop/module.js";
import type { ObservationMode } from "../env/webshop/observation.js";
import { PythonRandom } from "../env/webshop/python/random.js";
import type { Goal } from "../env/webshop/types.js";
import type { ShopWorld } from "../env/webshop/world.js";
import { median } from "./report.js";

/** Steps per second of princeton-nlp/WebShop on 1,000 products, one process on an idle machine of two cores; 36 to 56 by kind of play. */
export const ORIGINAL_STEPS_PER_SECOND = 56;

/** As long as an episode of verl-agent. */
const EPISODE = 15;
const ROUNDS = 5;

/** Chooses the next action of an episode. Sees more than an agent does. */
type Player = (view: {
  readonly actions: readonly string[];
  readonly step: number;
  readonly goal: Goal;
  readonly random: PythonRandom;
}) => string;

/** Anything on the page, now and then other words; buys by chance. */
const stroller: Player = ({ actions, goal, random }) => {
  if (actions.includes(SEARCH_FORM) || actions.length === 0 || random.below(8) === 0) {
    return `search[${random.choices(goal.instructionText.split(" "), 1 + random.below(4)).join(" ")}]`;
  }
  return random.choice(actions);
};

/** Searches for the goal's product, turns at most four pages, reads two of its pages, chooses every option, and buys. */
function shopper(): Player {
  let rest: string[] = [];
  return ({ actions, step, goal }) => {
    const asin = goal.asin.toLowerCase();
    if (step === 0) {
      const values =
        goal.goalOptions instanceof Map ? [...(goal.goalOptions as ReadonlyMap<string, string>).values()] : (goal.goalOptions as string[]);
      rest = ["features", "< prev", "description", "< prev", ...values, "buy now"].map((thing) => `click[${thing}]`);
      return `search[${goal.name.split(" ").slice(0, 8).join(" ")} ${goal.attributes.join(" ")}]`;
    }
    if (actions.includes(`click[${asin}]`)) return `click[${asin}]`;
    if (!actions.includes("click[next >]") || actions.includes("click[buy now]")) return rest.shift() ?? "click[buy now]";
    return step < 5 ? "click[next >]" : (actions.find((action) => /^click\[b[0-9a-z]{9}\]$/.test(action)) ?? "click[back to search]");
  };
}

export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

export interface WebshopBench {
  readonly products: number;
  readonly goals: number;
  /** By kind of play and mode of observation. */
  readonly stepsPerSecond: Readonly<Record<string, Spread>>;
  /** Share of the shopper's purchases that score 1. */
  readonly perfect: number;
  /** Microseconds of a search for words that were not asked for before, and of one that was. */
  readonly searchUs: { readonly fresh: Spread; readonly known: Spread };
}

/** One process at a shop: plays episode after episode. */
class Play {
  readonly #environments = new Map<ObservationMode, ShopEnvironment>();
  readonly #random = new PythonRandom(1);
  readonly #shopper = shopper();
  steps = 0;
  purchases = 0;
  perfect = 0;

  constructor(private readonly world: ShopWorld) {}

  episode(kind: "random" | "expert", mode: ObservationMode): void {
    const { goals } = this.world;
    let environment = this.#environments.get(mode);
    if (!environment) {
      environment = new ShopEnvironment("webshop", this.world, { mode });
      this.#environments.set(mode, environment);
    }
    const random = this.#random;
    const place = random.below(goals.length);
    const goal = goals.goal(place);
    let { actions = [] } = environment.reset({ id: String(place), split: "all", type: goal.category, data: { goal: place } });
    const player = kind === "random" ? stroller : this.#shopper;
    for (let step = 0; step < EPISODE; step++) {
      const result = environment.step(player({ actions, step, goal, random }));
      actions = result.actions ?? [];
      this.steps++;
      if (!result.done) continue;
      if (kind === "expert") {
        this.purchases++;
        if (result.success) this.perfect++;
      }
      return;
    }
  }
}

/** Milliseconds that passed, or that this process had a processor for. */
type Clock = () => number;

export const wallClock: Clock = () => performance.now();

/** For a machine that is shared. Includes what the garbage collector does on other threads. */
export const processorClock: Clock = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

/** @param seconds of each round of each measurement, of which there are five */
export function benchWebshop(world: ShopWorld, seconds: number, clock: Clock): WebshopBench {
  const play = new Play(world);
  const measure = (kind: "random" | "expert", mode: ObservationMode): Spread => {
    const round = () => {
      const before = play.steps;
      const start = clock();
      let elapsed = 0;
      while (elapsed < 1000 * seconds) {
        for (let i = 0; i < 20; i++) play.episode(kind, mode);
        elapsed = clock() - start;
      }
      return (1000 * (play.steps - before)) / elapsed;
    };
    round(); // warms the compiler up
    return spread(Array.from({ length: ROUNDS }, round));
  };
  const stepsPerSecond = {
    "random play, text": measure("random", "text"),
    "random play, text_rich": measure("random", "text_rich"),
    "expert play, text": measure("expert", "text"),
    "expert play, text_rich": measure("expert", "text_rich"),
    "expert play, html": measure("expert", "html"),
  };
  return {
    products: world.catalogue.length,
    goals: world.goals.length,
    stepsPerSecond,
    perfect: play.perfect / play.purchases,
    searchUs: searchTimes(world, seconds, clock),
  };
}

/** Five words of a random instruction, the same for both; a query of its own for every fresh search. */
function searchTimes({ catalogue, goals, find }: ShopWorld, seconds: number, clock: Clock): WebshopBench["searchUs"] {
  const random = new PythonRandom(2);
  const words = () => random.choices(goals.goal(random.below(goals.length)).instructionText.toLowerCase().split(" "), 5);
  const time = (search: (query: readonly string[]) => unknown): number => {
    const queries = Array.from({ length: 64 }, words);
    let searches = 0;
    let elapsed = 0;
    while (elapsed < 1000 * seconds) {
      const start = clock();
      for (const query of queries) search(query);
      elapsed += clock() - start;
      searches += queries.length;
    }
    return (1000 * elapsed) / searches;
  };
  const generator = () => random;
  const rounds = (search: (query: readonly string[]) => unknown) => spread(Array.from({ length: ROUNDS }, () => time(search)));
  return { fresh: rounds((query) => catalogue.search(query.join(" "))), known: rounds((query) => find(query, generator)) };
}

/** Where a long run stands. Bytes are MiB. */
export interface SoakPoint {
  readonly steps: number;
  readonly stepsPerSecond: number;
  /** Live JavaScript memory after a collection, buffers included. */
  readonly heapMiB: number;
  readonly rssMiB: number;
}

const SOAK_POINTS = 20;

/** Plays `steps` steps, random and expert episodes in turn, and looks at memory twenty times. */
export function* soakWebshop(world: ShopWorld, steps: number): Generator<SoakPoint> {
  const play = new Play(world);
  let before = 0;
  let start = performance.now();
  for (let point = 1; point <= SOAK_POINTS; point++) {
    while (play.steps < (steps * point) / SOAK_POINTS) {
      play.episode("random", "text");
      play.episode("expert", "text");
    }
    const stepsPerSecond = (1000 * (play.steps - before)) / (performance.now() - start);
    yield { steps: play.steps, stepsPerSecond, heapMiB: memory() / 2 ** 20, rssMiB: process.memoryUsage.rss() / 2 ** 20 };
    before = play.steps;
    start = performance.now();
  }
}

/** Growth of memory after the first fifth of a soak, in which caches fill and code is compiled. */
export function soakGrowth(points: readonly SoakPoint[]): { readonly heapMiB: number; readonly rssMiB: number } {
  const [early, late] = [points[Math.floor(points.length / 5) - 1]!, points.at(-1)!];
  return { heapMiB: late.heapMiB - early.heapMiB, rssMiB: late.rssMiB - early.rssMiB };
}

export function soakLine({ steps, stepsPerSecond, heapMiB, rssMiB }: SoakPoint): string {
  return `${steps.toLocaleString("en").padStart(11)} steps  ${stepsPerSecond.toFixed(0).padStart(7)} steps/s  heap ${heapMiB.toFixed(1).padStart(7)} MiB  resident ${rssMiB.toFixed(0).padStart(5)} MiB`;
}

function spread(values: readonly number[]): Spread {
  return { median: median(values), least: Math.min(...values), most: Math.max(...values) };
}

/** Bytes in use after a collection. */
function memory(): number {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** A Markdown table. */
export function webshopReport({ products, goals, stepsPerSecond, perfect, searchUs }: WebshopBench): string {
  const number = (value: number, digits: number) =>
    value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const show = ({ median: middle, least, most }: Spread, digits: number) =>
    `${number(middle, digits)} (${number(least, digits)} to ${number(most, digits)})`;
  return [
    `${number(products, 0)} products, ${number(goals, 0)} goals, one process, one thread; medians of ${ROUNDS} rounds (least to greatest).`,
    `The original makes 36 to ${ORIGINAL_STEPS_PER_SECOND} steps/s on 1,000 products; the ratio is to the greater number. The expert's purchases score 1 in ${number(100 * perfect, 1)}%.`,
    "",
    "| | siri | original | |",
    "|---|---|---|---|",
    ...Object.entries(stepsPerSecond).map(
      ([name, speed]) =>
        `| ${name}, steps/s | ${show(speed, 0)} | ${ORIGINAL_STEPS_PER_SECOND} | ${number(speed.median / ORIGINAL_STEPS_PER_SECOND, 0)} x |`,
    ),
    `| search of 5 words, us | ${show(searchUs.fresh, 1)} | | |`,
    `| the same words again, us | ${show(searchUs.known, 2)} | | |`,
  ].join("\n");
}
