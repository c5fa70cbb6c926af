/**
 * A shop as an environment to train in: which goals a split has, what an agent reads and may do, and what it is paid. Works on any
 * catalogue. A limit on steps is the rollout's.
 */
import { z } from "zod";
import { SiriError } from "../../errors.js";
import type { Awaitable, Environment, EnvironmentModule, Observation, StepResult, Task, TaskSet } from "../environment.js";
import { SEARCH_FORM } from "./actions.js";
import type { NounsOf } from "./nouns.js";
import { OBSERVATION_MODES, type ObservationMode, pageWithoutTask, plainText } from "./observation.js";
import { PythonRandom } from "./python/random.js";
import { strip } from "./python/text.js";
import { type SplitPart, splitOf, splitParts } from "./splits.js";
import { TextShop } from "./text-shop.js";
import { openWorld, type ShopWorld, type Stock } from "./world.js";

/** Raw reward of a purchase that scores 1; every other step gives 0. */
export const WIN_REWARD = 10;

export const shopSettings = z.strictObject({
  /** From the products' attributes, one for each combination of options; or written by people. */
  goals: z.enum(["synthetic", "human"]).default("synthetic"),
  /** Draws prices inside ranges, and price limits. */
  seed: z.number().int().default(233),
  /** Draws the order of the goals; default 233, with the split `verl` the seed. */
  shuffleSeed: z.number().int().optional(),
  /** How goals are parted: see `SplitScheme`. */
  split: z.enum(["product", "paper", "verl"]).default("product"),
  /** What an agent reads. */
  mode: z.enum(OBSERVATION_MODES).default("text"),
  /** Item pages lead to a page of attributes. */
  showAttrs: z.boolean().default(false),
  /** Earlier observations in front of the present one. */
  prevObs: z.number().int().min(0).default(0),
  /** Earlier actions among them. */
  prevActions: z.number().int().min(0).default(0),
});

export type ShopSettings = z.input<typeof shopSettings>;

/** What a task carries: its place in the shuffled list of goals. */
export interface ShopTaskData {
  readonly goal: number;
}

/** What a shop is opened with. */
export interface ShopParts {
  readonly stock: Stock;
  /** How the nouns of titles are known; by the tagger when absent. */
  readonly nouns?: NounsOf;
  /** What the user of a split should know. */
  readonly notes?: readonly string[];
}

/**
 * @param open called when the first task or environment is asked for, and again only after it failed
 * @throws SiriError CONFIG_ENVIRONMENT
 */
export function shopModule(name: string, settings: ShopSettings, open: () => Awaitable<ShopParts>): EnvironmentModule {
  const parsed = shopSettings.safeParse(settings);
  if (!parsed.success) throw new SiriError("CONFIG_ENVIRONMENT", `${name} options: ${z.prettifyError(parsed.error)}`);
  const { goals: kind, seed, split: scheme, ...shown } = parsed.data;
  const shuffleSeed = shown.shuffleSeed ?? (scheme === "verl" ? seed : undefined);
  const parts = splitParts(scheme);
  const sets = new Map<string, TaskSet>();
  let opening: Promise<{ readonly shop: ShopWorld; readonly notes: readonly string[] }> | undefined;
  const openOnce = async () => {
    const { stock, nouns, notes = [] } = await open();
    return { shop: openWorld(stock, { kind, seed, ...(shuffleSeed === undefined ? {} : { shuffleSeed }) }, nouns), notes };
  };
  const world = () => {
    opening ??= openOnce().catch((error: unknown) => {
      opening = undefined;
      throw error;
    });
    return opening;
  };
  return {
    name,
    splits: parts,
    evalSplits: parts.filter((part) => part !== "train"),
    async tasks(split) {
      if (!parts.includes(split as SplitPart)) {
        throw new SiriError("SPLIT_UNKNOWN", `${name} has no split '${split}'; parted by '${scheme}' it has ${parts.join(", ")}`);
      }
      const { shop, notes } = await world();
      let set = sets.get(split);
      if (!set) {
        set = taskSet(name, shop, splitOf(shop.goals, scheme, split as SplitPart), split, notes);
        sets.set(split, set);
      }
      return set;
    },
    create: async () => new ShopEnvironment(name, (await world()).shop, shown),
  };
}

function taskSet(name: string, { goals }: ShopWorld, places: Uint32Array, split: string, notes: readonly string[]): TaskSet {
  if (places.length === 0) {
    throw new SiriError(
      "ENVIRONMENT_DATA",
      `${name}: none of the ${goals.length} goals is in the split '${split}'; choose other goals, products or another split`,
    );
  }
  return {
    length: places.length,
    notes,
    at(index) {
      const goal = places[index];
      if (goal === undefined) {
        throw new SiriError("TASK_UNKNOWN", `${name} split '${split}' has ${places.length} tasks, from 0; there is no task ${index}`);
      }
      const id = `${split}/${String(index).padStart(6, "0")}`;
      return { id, split, type: goals.goal(goal).category, data: { goal } satisfies ShopTaskData };
    },
  };
}

/** One customer after another. Everything is done at once: nothing has to be awaited. */
export class ShopEnvironment implements Environment {
  readonly #name: string;
  readonly #mode: ObservationMode;
  readonly #hasHistory: boolean;
  readonly #shop: TextShop;
  #goal = -1;
  #random: PythonRandom | undefined;
  #task = "";

  constructor(
    name: string,
    world: ShopWorld,
    {
      mode = "text",
      showAttrs = false,
      prevObs = 0,
      prevActions = 0,
    }: Pick<ShopSettings, "mode" | "showAttrs" | "prevObs" | "prevActions"> = {},
  ) {
    this.#name = name;
    this.#mode = mode;
    this.#hasHistory = prevObs > 0 || prevActions > 0;
    this.#shop = new TextShop(world, {
      mode,
      showAttributes: showAttrs,
      previousObservations: prevObs,
      previousActions: prevActions,
      // Random products belong to the task: the members of a group draw the same ones.
      random: () => {
        this.#random ??= new PythonRandom(this.#goal);
        return this.#random;
      },
    });
  }

  reset(task: Task): Observation {
    const goal = (task.data as Partial<ShopTaskData> | undefined)?.goal;
    if (typeof goal !== "number") {
      throw new SiriError("TASK_UNKNOWN", `${this.#name} task '${task.id}' names no goal; take tasks from tasks(split).at(index)`);
    }
    this.#goal = goal;
    this.#random = undefined;
    const text = this.#shop.reset(goal);
    this.#task = strip(this.#shop.session.goal.instructionText);
    return this.#observe(text);
  }

  step(action: string): StepResult {
    const { observation, reward: score, done } = this.#shop.step(action);
    const success = done && score === 1;
    return { ...this.#observe(observation), reward: success ? WIN_REWARD : 0, done, success, score };
  }

  #observe(text: string): Observation {
    const { session, available } = this.#shop;
    const page = this.#mode === "text" && !this.#hasHistory ? text : plainText(session.nodes);
    const actions = available.clickables.map((thing) => `click[${thing}]`);
    if (available.hasSearchBar) actions.unshift(SEARCH_FORM);
    return { text, task: this.#task, actions, anchor: pageWithoutTask(page, this.#task) };
  }
}
