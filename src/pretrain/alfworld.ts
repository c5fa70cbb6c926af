/**
 * The source `alfworld`: real games of the train split, played as the household's are. The policy that comes out is made from other
 * people's data and is not shipped.
 */
import { join } from "node:path";
import { compact } from "../agent/compact.js";
import alfworld, { type AlfworldTaskData, readGame } from "../env/alfworld/index.js";
import { ALFWORLD_SENSE } from "../env/alfworld/places.js";
import { findRelease } from "../env/alfworld/release.js";
import type { Task } from "../env/environment.js";
import { classOf } from "../env/household/catalog.js";
import type { Playable } from "../env/household/demonstrate.js";
import { Rng } from "../env/household/rng.js";
import { readTask, type TaskType } from "../env/household/tasks.js";
import type { Game, Play } from "../env/textworld/index.js";
import { SiriError } from "../errors.js";
import { DEFAULT_SIZE } from "./base.js";
import { type DataSettings, DEFAULT_DATA, examples, type GameSource } from "./data.js";
import { baseReport, DEFAULT_REPORT, type Heading, reportMarkdown } from "./report.js";
import type { Source } from "./source.js";
import { DEFAULT_TRAIN } from "./train.js";

/** As in the household, with rarer right habits: in 50 steps a habit has more chances. */
const DATA: DataSettings = {
  ...DEFAULT_DATA,
  habits: {
    pick_and_place_simple: 0.35,
    look_at_obj_in_light: 0.1,
    pick_clean_then_place_in_recep: 0.1,
    pick_heat_then_place_in_recep: 0.1,
    pick_cool_then_place_in_recep: 0.1,
    pick_two_obj_and_place: 0.12,
  },
  maxSteps: 50,
};

/** Fewer than from nothing: the policy that it starts from knows the format and the wording. */
const ROWS = 96_000;

const HEADING: Heading = {
  title: "A tiny policy for ALFWorld",
  intro:
    "What imitation alone gives, before any reinforcement learning: real games of the valid_seen split (known rooms, new layouts), each game once a row.",
};

export const alfworldSource: Source = {
  about: "ALFWorld's training games -> models/alfworld-tiny",
  defaults: {
    out: "models/alfworld-tiny",
    init: "models/tiny",
    retokenise: true,
    size: DEFAULT_SIZE,
    train: { ...DEFAULT_TRAIN, rows: ROWS, promptLossPart: 0.6 },
    games: 134,
    temperature: DEFAULT_REPORT.temperature,
  },
  template: compact,
  examples: async (options) => examples(compact, { ...DATA, ...options }, await alfworldGames()),
  async measure(policy, tokenizer, options) {
    const settings = { ...DEFAULT_REPORT, ...options, writerGames: 240, spreadWriterGames: true, split: "valid_seen", maxSteps: 50 };
    const report = await baseReport(policy, tokenizer, compact, alfworld(), settings);
    return (facts) => reportMarkdown(report, facts, HEADING);
  },
};

/** Games of a type are drawn with return, so that a type's share of the rows does not follow its share of the split. */
export async function alfworldGames(data = process.env.ALFWORLD_DATA): Promise<GameSource> {
  const root = findRelease(data);
  const tasks = await alfworld(data === undefined ? {} : { data }).tasks("train");
  const byType = new Map<string, Task[]>();
  for (let i = 0; i < tasks.length; i++) {
    const task = tasks.at(i);
    const list = byType.get(task.type);
    if (list) list.push(task);
    else byType.set(task.type, [task]);
  }
  return (seed: number, type: TaskType) => {
    const games = byType.get(type);
    if (games === undefined) throw new SiriError("ENVIRONMENT_DATA", `alfworld: the train split in ${root} has no game of type ${type}`);
    const task = new Rng(seed, "alfworld game").pick(games);
    const game = readGame(join(root, (task.data as AlfworldTaskData).file));
    const play = game.start();
    return { play: withoutHelp(play), objectPlaces: placesOf(game, play), sense: ALFWORLD_SENSE };
  };
}

/** As the environment shows it to an agent. */
function withoutHelp(play: Play): Playable {
  return {
    get observation() {
      return play.observation;
    },
    get admissible() {
      return play.admissible.filter((command) => command !== "help");
    },
    get won() {
      return play.won;
    },
    step: (command) => play.step(command),
  };
}

/** Furniture kinds that hold a thing the task names, one entry a thing. */
function placesOf(game: Game, play: Play): readonly string[] {
  const { object } = readTask(game.task);
  const places: string[] = [];
  for (const [predicate, thing, place] of play.facts()) {
    if (predicate === "inreceptacle" && classOf(game.names.get(thing!)!) === object) places.push(classOf(game.names.get(place!)!));
  }
  return places;
}
