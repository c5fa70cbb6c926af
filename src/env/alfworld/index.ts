/**
 * ALFWorld (arXiv 2010.03768) from its released `.tw-pddl` files. This is the environment seam only: which games a split has, and what an
 * agent sees of one. Rules and wording come from the files, by way of the text-game engine. A limit on steps is the rollout's.
 */
import { basename, dirname, join, resolve } from "node:path";
import { z } from "zod";
import { SiriError } from "../../errors.js";
import type { Environment, EnvironmentModule, Observation, StepResult, Task, TaskSet } from "../environment.js";
import { boundedCache } from "../textworld/cache.js";
import { inGame } from "../textworld/file.js";
import { type Game, type Play, parseGame } from "../textworld/index.js";
import { drawAnnotation, withTask } from "./annotations.js";
import { type IndexedGame, indexGames } from "./game-index.js";
import { readText } from "./read-text.js";
import { ALFWORLD_SPLITS, ALFWORLD_TASK_TYPES, type AlfworldSplit, findRelease, GAME_FILE, OFFICIAL_COUNTS } from "./release.js";

export { ALFWORLD_SPLITS, ALFWORLD_TASK_TYPES, OFFICIAL_COUNTS } from "./release.js";

/** Raw reward of the step that wins; every other step gives 0. */
export const WIN_REWARD = 10;

const optionsSchema = z.strictObject({
  /** Folder that holds `json_2.1.1/` (or that folder itself); default: the variable ALFWORLD_DATA. */
  data: z.string().min(1).optional(),
  /** Only games of these types. */
  taskTypes: z
    .array(z.enum(ALFWORLD_TASK_TYPES))
    .min(1)
    .default([...ALFWORLD_TASK_TYPES]),
  /** Only games whose file says that they can be solved. */
  solvableOnly: z.boolean().default(true),
  /** Share of games (0 to 1) that get a task sentence written by people, of the trial's traj_data.json; the others keep their own. */
  humanAnnotations: z.number().min(0).max(1).default(0),
  /** Seed of which games these are and which of a trial's sentences. */
  annotationSeed: z.number().int().min(0).default(0),
  /** Parsed games kept in memory, 0.2 MB each. */
  cachedGames: z.number().int().min(1).default(128),
});

export type AlfworldOptions = z.input<typeof optionsSchema>;
type Options = z.output<typeof optionsSchema>;

/** What a task carries. Survives JSON. */
export interface AlfworldTaskData {
  /** The game file, relative to the release's folder or absolute. */
  readonly file: string;
  /** A task sentence in place of the file's own. */
  readonly sentence?: string;
}

export interface AlfworldTaskSet extends TaskSet {
  readonly notes: readonly string[];
  /** One line for each file that was left out because it cannot be played: its name and what is wrong. */
  readonly problems: readonly string[];
}

export interface AlfworldModule extends EnvironmentModule {
  tasks(split: string): AlfworldTaskSet;
}

/** Problems that a note quotes. */
const QUOTED = 3;

/** A task for a single game file, inside a data folder or not. */
export function taskOfFile(file: string, split = "file"): Task {
  const path = resolve(file);
  // Official layout: <type>-<object>-...-<scene>/trial_T.../game.tw-pddl. Other files are named after themselves.
  const type = ALFWORLD_TASK_TYPES.find((name) => basename(dirname(dirname(path))).startsWith(`${name}-`) || basename(path).includes(name));
  return { id: path, split, type: type ?? "task", data: { file: path } satisfies AlfworldTaskData };
}

/** @throws SiriError CONFIG_ENVIRONMENT for options it does not know, ENVIRONMENT_DATA when the games are not there. */
export default function alfworld(options: AlfworldOptions = {}): AlfworldModule {
  const parsed = optionsSchema.safeParse(options);
  if (!parsed.success) throw new SiriError("CONFIG_ENVIRONMENT", `alfworld options: ${z.prettifyError(parsed.error)}`);
  const { data = process.env.ALFWORLD_DATA, cachedGames } = parsed.data;
  const games = boundedCache<string, Game>(cachedGames);
  const splits = new Map<string, AlfworldTaskSet>();
  let root: string | undefined;
  const rootFolder = () => {
    root ??= findRelease(data);
    return root;
  };
  const load = (task: Task): Game => {
    const { file, sentence } = (task.data ?? {}) as Partial<AlfworldTaskData>;
    if (typeof file !== "string") {
      throw new SiriError(
        "TASK_UNKNOWN",
        `alfworld task '${task.id}' names no file; take tasks from tasks(split).at(index) or taskOfFile(path)`,
      );
    }
    const path = resolve(file) === file ? file : join(rootFolder(), file);
    return games.get(`${path}\n${sentence ?? ""}`, () => readGame(path, sentence));
  };
  return {
    name: "alfworld",
    splits: ALFWORLD_SPLITS,
    evalSplits: ["valid_seen", "valid_unseen"],
    tasks(split) {
      if (!ALFWORLD_SPLITS.includes(split as AlfworldSplit)) {
        throw new SiriError("SPLIT_UNKNOWN", `alfworld has no split '${split}'; it has ${ALFWORLD_SPLITS.join(", ")}`);
      }
      let set = splits.get(split);
      if (!set) {
        set = taskSet(rootFolder(), split as AlfworldSplit, parsed.data);
        splits.set(split, set);
      }
      return set;
    },
    create: () => new AlfworldEnvironment(load),
  };
}

/**
 * @param sentence the task in other words than the file's
 * @throws SiriError GAME_FILE when the file cannot be read, and what `parseGame` throws.
 */
export function readGame(path: string, sentence?: string): Game {
  let source: string;
  try {
    source = readText(path);
  } catch (error) {
    throw new SiriError("GAME_FILE", `game file '${path}' cannot be read: ${(error as Error).message}`, { cause: error });
  }
  return parseGame(sentence === undefined ? source : withTask(source, sentence), path);
}

/** Games of a split by path, ascending. */
function taskSet(root: string, split: AlfworldSplit, options: Options): AlfworldTaskSet {
  const { taskTypes, solvableOnly, humanAnnotations, annotationSeed } = options;
  const index = indexGames(root, split);
  const wanted = ({ type, solvable, problem }: IndexedGame) =>
    (type === null || taskTypes.includes(type as Options["taskTypes"][number])) && (!solvableOnly || solvable === true || problem !== null);
  const candidates = index.games.filter(wanted);
  const problems: string[] = [];
  const tasks = candidates.flatMap(({ id, type, problem }): Task[] => {
    try {
      if (problem !== null || type === null) throw new SiriError("GAME_FILE", problem!);
      const sentence = drawAnnotation(root, id, annotationSeed, humanAnnotations);
      const data: AlfworldTaskData = { file: `${id}/${GAME_FILE}`, ...(sentence === undefined ? {} : { sentence }) };
      return [{ id, split, type, data }];
    } catch (error) {
      if (!(error instanceof SiriError)) throw error;
      problems.push(error.message);
      return [];
    }
  });
  const quoted = problems.slice(0, QUOTED).join("; ") + (problems.length > QUOTED ? `; and ${problems.length - QUOTED} more` : "");
  if (tasks.length === 0) {
    const why = problems.length > 0 ? `; ${problems.length} files cannot be played: ${quoted}` : "";
    throw new SiriError(
      "ENVIRONMENT_DATA",
      `alfworld: no game in '${join(root, split)}' passes the filters (types ${taskTypes.join(", ")}; solvable only: ${solvableOnly})${why}`,
    );
  }
  const notes: string[] = [];
  if (problems.length > 0) {
    notes.push(`alfworld ${split}: ${problems.length} of ${candidates.length} games are left out, for they cannot be played: ${quoted}.`);
  }
  const official = OFFICIAL_COUNTS[split];
  const isWhole = solvableOnly && taskTypes.length === ALFWORLD_TASK_TYPES.length;
  if (isWhole && official !== undefined && tasks.length !== official) {
    notes.push(`alfworld ${split}: ${tasks.length} games; the official release has ${official}.`);
  }
  if (index.file === null) {
    notes.push(
      `alfworld ${split}: neither the data folder nor the cache folder (XDG_CACHE_HOME) can be written; every start reads all files.`,
    );
  }
  return {
    length: tasks.length,
    notes,
    problems,
    at(index) {
      const task = tasks[index];
      if (!task)
        throw new SiriError("TASK_UNKNOWN", `alfworld split '${split}' has ${tasks.length} tasks, from 0; there is no task ${index}`);
      return task;
    },
  };
}

class AlfworldEnvironment implements Environment {
  private now: { readonly game: Game; readonly play: Play } | undefined;
  /** The step that ended the episode. */
  private last: StepResult | undefined;

  constructor(private readonly load: (task: Task) => Game) {}

  reset(task: Task): Observation {
    const game = this.load(task);
    return inGame(game.name, () => {
      this.now = { game, play: game.start() };
      this.last = undefined;
      return observe(this.now);
    });
  }

  /** After the end the last result comes again until the next reset, as in the original's batches. */
  step(action: string): StepResult {
    const { now } = this;
    if (!now) throw new SiriError("NOT_RESET", "alfworld: step() before reset(); start a task first");
    if (this.last) return this.last;
    const { game, play } = now;
    const next = inGame(game.name, () => {
      play.step(action);
      return observe(now);
    });
    const result = { ...next, reward: play.won ? WIN_REWARD : 0, done: play.won, success: play.won };
    if (play.won) this.last = result;
    return result;
  }
}

function observe({ game, play }: { readonly game: Game; readonly play: Play }): Observation {
  const { observation, admissible } = play;
  return { text: observation, task: game.task, actions: admissible.filter((command) => command !== "help"), anchor: observation };
}
