/**
 * The household environment: generated games in three splits, played by the text-world engine. `train` and `seen` draw from the
 * same (object, target) pairs with different seeds; `unseen` draws from pairs that the others never show. Runs in a browser, too.
 */
import { SiriError } from "../../errors.js";
import type { Environment, EnvironmentModule, Observation, StepResult, Task, TaskSet } from "../environment.js";
import { type Game, type Play, parseGame } from "../textworld/index.js";
import { type GeneratedGame, generateGame } from "./generate.js";
import { type PairPool, TASK_TYPES, type TaskType } from "./tasks.js";
import { SIZES, type Size } from "./world.js";

export * from "./demonstrate.js";
export { Expert } from "./expert.js";
export { type GeneratedGame, type GenerateOptions, generateGame, type HouseholdFile, type HouseholdMeta } from "./generate.js";
export { Rng } from "./rng.js";
export * from "./skills.js";
export * from "./strategies.js";
export { type Goal, type PairPool, readTask, TASK_TYPES, type TaskType } from "./tasks.js";
export { SIZES, type Size } from "./world.js";

export interface HouseholdOptions {
  /** Default `small`: 8 to 14 pieces of furniture; `medium` 14 to 20; `large` 20 to 30. */
  readonly size?: Size;
  /** Number of training games. Default 20,000. */
  readonly train?: number;
  /** Games of known pairs and new seeds. Default 240. */
  readonly seen?: number;
  /** Games of held-out pairs. Default 240. */
  readonly unseen?: number;
}

/** What a task carries; survives JSON. */
export interface HouseholdTaskData {
  readonly seed: number;
  readonly size: Size;
  readonly pool: PairPool;
  readonly type: TaskType;
}

export interface HouseholdTask extends Task {
  readonly type: TaskType;
  readonly data: HouseholdTaskData;
}

/** Raw reward of the step that reaches the goal, as ALFWorld agents get it; 0 otherwise. */
export const WIN_REWARD = 10;

/** Splits own ranges of seeds this far apart, so no two can share a game. */
const SEEDS_PER_SPLIT = 1e9;
const SPLITS = ["train", "seen", "unseen"] as const;
type Split = (typeof SPLITS)[number];
const DEFAULT_LENGTHS: Readonly<Record<Split, number>> = { train: 20_000, seen: 240, unseen: 240 };

/** Members of a group play the same game one after another; parsed games of the latest tasks are kept. */
const KEPT_GAMES = 64;

/** The task at a place of a split; types take turns. */
export function householdTask(split: string, index: number, size: Size = "small"): HouseholdTask {
  const order = SPLITS.indexOf(split as Split);
  if (order < 0) throw unknownSplit(split);
  if (!Number.isInteger(index) || index < 0 || index >= SEEDS_PER_SPLIT) {
    throw new SiriError("TASK_UNKNOWN", `household task ${split}/${index}: the number must be whole and from 0 to ${SEEDS_PER_SPLIT - 1}`);
  }
  const type = TASK_TYPES[index % TASK_TYPES.length]!;
  return {
    id: `${split}/${String(index).padStart(6, "0")}`,
    split,
    type,
    data: { seed: order * SEEDS_PER_SPLIT + index, size, pool: split === "unseen" ? "held-out" : "held-in", type },
  };
}

/** @throws SiriError (bad_task) when the task was not made by this environment. */
export function gameOf(task: Task): GeneratedGame {
  const data = task.data as Partial<HouseholdTaskData> | undefined;
  if (typeof data?.seed !== "number") {
    throw new SiriError(
      "TASK_UNKNOWN",
      `household task ${JSON.stringify(task.id)} has no seed in its data; take tasks from tasks(split).at(index)`,
    );
  }
  return generateGame(data.seed, data);
}

/** @throws SiriError (unknown_size, bad_option) */
export default function household(options: HouseholdOptions = {}): EnvironmentModule {
  const { size = "small" } = options;
  for (const key of Object.keys(options)) {
    if (key !== "size" && !SPLITS.includes(key as Split)) {
      throw new SiriError("CONFIG_ENVIRONMENT", `household has no option ${JSON.stringify(key)}; it has size, ${SPLITS.join(", ")}`);
    }
  }
  if (!SIZES.includes(size)) {
    throw new SiriError("CONFIG_ENVIRONMENT", `household size is ${JSON.stringify(size)}; use one of ${SIZES.join(", ")}`);
  }
  const lengths = { ...DEFAULT_LENGTHS };
  for (const split of SPLITS) {
    const length = options[split] ?? DEFAULT_LENGTHS[split];
    if (!Number.isInteger(length) || length < 1 || length > SEEDS_PER_SPLIT) {
      throw new SiriError(
        "CONFIG_ENVIRONMENT",
        `household ${split} is ${length}; the number of games must be whole and from 1 to ${SEEDS_PER_SPLIT}`,
      );
    }
    lengths[split] = length;
  }
  const games = new Map<string, Game>();
  const load = (task: Task): Game => {
    const key = JSON.stringify(task.data);
    const game = games.get(key) ?? parseGame(gameOf(task).file, task.id);
    games.delete(key);
    games.set(key, game);
    if (games.size > KEPT_GAMES) games.delete(games.keys().next().value!);
    return game;
  };
  return {
    name: "household",
    splits: SPLITS,
    evalSplits: ["unseen", "seen"],
    tasks: (split) => taskSet(split, lengths, size),
    create: () => new HouseholdEnvironment(load),
  };
}

function taskSet(split: string, lengths: Readonly<Record<Split, number>>, size: Size): TaskSet {
  if (!SPLITS.includes(split as Split)) throw unknownSplit(split);
  const length = lengths[split as Split];
  return {
    length,
    at(index) {
      if (!Number.isInteger(index) || index < 0 || index >= length) {
        throw new SiriError("TASK_UNKNOWN", `household split ${split} has no task ${index}; it has ${length}, from 0`);
      }
      return householdTask(split, index, size);
    },
  };
}

function unknownSplit(split: string): SiriError {
  return new SiriError("SPLIT_UNKNOWN", `household has no split ${JSON.stringify(split)}; use one of ${SPLITS.join(", ")}`);
}

class HouseholdEnvironment implements Environment {
  private play: Play | undefined;
  private sentence = "";

  constructor(private readonly load: (task: Task) => Game) {}

  reset(task: Task): Observation {
    const game = this.load(task);
    this.play = game.start();
    this.sentence = game.task;
    return this.observe(this.play, this.play.observation);
  }

  step(action: string): StepResult {
    const { play } = this;
    if (play === undefined) throw new SiriError("NOT_RESET", "household step() before reset(); start a task first");
    const text = play.step(action);
    return { ...this.observe(play, text), reward: play.won ? WIN_REWARD : 0, done: play.won, success: play.won };
  }

  private observe(play: Play, text: string): Observation {
    return { text, task: this.sentence, actions: play.admissible, anchor: text };
  }
}
