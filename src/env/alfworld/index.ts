/**
 * ALFWorld (arXiv 2010.03768) from its released `.tw-pddl` files. This is the environment seam only: which games a split has, and what an
 * agent sees of one. Rules and wording come from the files, by way of the text-game engine. A limit on steps is the rollout's.
 */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { z } from "zod";
import { SiriError } from "../../errors.js";
import type { Environment, EnvironmentModule, Observation, StepResult, Task, TaskSet } from "../environment.js";
import { boundedCache } from "../textworld/cache.js";
import { type Game, type Play, parseGame } from "../textworld/index.js";

export const ALFWORLD_SPLITS = ["train", "valid_seen", "valid_unseen"] as const;

export const ALFWORLD_TASK_TYPES = [
  "pick_and_place_simple",
  "look_at_obj_in_light",
  "pick_clean_then_place_in_recep",
  "pick_heat_then_place_in_recep",
  "pick_cool_then_place_in_recep",
  "pick_two_obj_and_place",
] as const;

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
  /** Parsed games kept in memory, 0.2 MB each. */
  cachedGames: z.number().int().min(1).default(128),
});

export type AlfworldOptions = z.input<typeof optionsSchema>;

/** What a task carries: its game file, relative to the data folder or absolute. */
export interface AlfworldTaskData {
  readonly file: string;
}

const RELEASE = "json_2.1.1";
const GAME = "game.tw-pddl";

/** A task for a single game file, inside a data folder or not. */
export function taskOfFile(file: string, split = "file"): Task {
  const path = resolve(file);
  // Official layout: <type>-<object>-...-<scene>/trial_T.../game.tw-pddl. Other files are named after themselves.
  const type = ALFWORLD_TASK_TYPES.find((name) => basename(dirname(dirname(path))).startsWith(`${name}-`) || basename(path).includes(name));
  return { id: path, split, type: type ?? "task", data: { file: path } satisfies AlfworldTaskData };
}

/** @throws SiriError CONFIG_ENVIRONMENT for options it does not know, ENVIRONMENT_DATA when the games are not there. */
export default function alfworld(options: AlfworldOptions = {}): EnvironmentModule {
  const parsed = optionsSchema.safeParse(options);
  if (!parsed.success) throw new SiriError("CONFIG_ENVIRONMENT", `alfworld options: ${z.prettifyError(parsed.error)}`);
  const { data = process.env.ALFWORLD_DATA, taskTypes, solvableOnly, cachedGames } = parsed.data;
  const games = boundedCache<string, Game>(cachedGames);
  const splits = new Map<string, TaskSet>();
  let root: string | undefined;
  const rootFolder = () => {
    root ??= findRoot(data);
    return root;
  };
  const load = (task: Task): Game => {
    const file = (task.data as Partial<AlfworldTaskData> | undefined)?.file;
    if (typeof file !== "string") {
      throw new SiriError(
        "TASK_UNKNOWN",
        `alfworld task '${task.id}' names no file; take tasks from tasks(split).at(index) or taskOfFile(path)`,
      );
    }
    const path = resolve(file) === file ? file : join(rootFolder(), file);
    return games.get(path, () => readGame(path));
  };
  return {
    name: "alfworld",
    splits: ALFWORLD_SPLITS,
    evalSplits: ["valid_seen", "valid_unseen"],
    tasks(split) {
      if (!ALFWORLD_SPLITS.includes(split as (typeof ALFWORLD_SPLITS)[number])) {
        throw new SiriError("SPLIT_UNKNOWN", `alfworld has no split '${split}'; it has ${ALFWORLD_SPLITS.join(", ")}`);
      }
      let set = splits.get(split);
      if (!set) {
        set = taskSet(rootFolder(), split, new Set(taskTypes), solvableOnly);
        splits.set(split, set);
      }
      return set;
    },
    create: () => new AlfworldEnvironment(load),
  };
}

/** @throws SiriError GAME_FILE when the file cannot be read, and what `parseGame` throws. */
export function readGame(path: string): Game {
  let source: string;
  try {
    source = readFileSync(path, "utf8");
  } catch (error) {
    throw new SiriError("GAME_FILE", `game file '${path}' cannot be read: ${(error as Error).message}`, { cause: error });
  }
  return parseGame(source, path);
}

function findRoot(data: string | undefined): string {
  const advice = `Set the option 'data' or ALFWORLD_DATA to the folder that holds ${RELEASE}/.`;
  if (data === undefined || data === "") throw new SiriError("ENVIRONMENT_DATA", `alfworld: no data folder is given. ${advice}`);
  const inside = join(resolve(data), RELEASE);
  if (existsSync(inside)) return inside;
  const itself = resolve(data);
  if (ALFWORLD_SPLITS.some((split) => existsSync(join(itself, split)))) return itself;
  throw new SiriError("ENVIRONMENT_DATA", `alfworld: '${data}' holds no ${RELEASE}/ and no split. ${advice}`);
}

/** Games of a split by path, ascending. Sliced objects and movable receptacles were never part of the text games. */
function taskSet(root: string, split: string, types: ReadonlySet<string>, solvableOnly: boolean): TaskSet {
  const folder = join(root, split);
  if (!existsSync(folder) || !statSync(folder).isDirectory()) {
    throw new SiriError("ENVIRONMENT_DATA", `alfworld: split '${split}' is missing; '${folder}' is no folder`);
  }
  const tasks: Task[] = [];
  for (const entry of readdirSync(folder, { recursive: true, encoding: "utf8" }).sort()) {
    if (basename(entry) !== GAME || entry.includes("movable") || entry.includes("Sliced")) continue;
    const type = entry.split("-", 1)[0]!;
    if (!types.has(type)) continue;
    const file = join(folder, entry);
    if (solvableOnly && !isSolvable(file)) continue;
    const path = relative(root, file).split(sep).join("/");
    tasks.push({ id: dirname(path), split, type, data: { file: path } satisfies AlfworldTaskData });
  }
  if (tasks.length === 0) {
    throw new SiriError(
      "ENVIRONMENT_DATA",
      `alfworld: no game in '${folder}' passes the filters (types ${[...types].join(", ")}; solvable only: ${solvableOnly})`,
    );
  }
  return {
    length: tasks.length,
    at(index) {
      const task = tasks[index];
      if (!task)
        throw new SiriError("TASK_UNKNOWN", `alfworld split '${split}' has ${tasks.length} tasks, from 0; there is no task ${index}`);
      return task;
    },
  };
}

/** Reads one key of a game file without parsing the rest. Inside the file's texts a quote is escaped, so the key cannot be found there. */
function isSolvable(file: string): boolean {
  const bytes = readFileSync(file);
  const place = bytes.lastIndexOf('"solvable"');
  return place >= 0 && /^"solvable"\s*:\s*true\b/.test(bytes.toString("latin1", place, place + 64));
}

class AlfworldEnvironment implements Environment {
  private play: Play | undefined;
  private task = "";

  constructor(private readonly load: (task: Task) => Game) {}

  reset(task: Task): Observation {
    const game = this.load(task);
    this.play = game.start();
    this.task = game.task;
    return this.observe(this.play);
  }

  step(action: string): StepResult {
    const { play } = this;
    if (!play) throw new SiriError("NOT_RESET", "alfworld: step() before reset(); start a task first");
    play.step(action);
    return { ...this.observe(play), reward: play.won ? WIN_REWARD : 0, done: play.won, success: play.won };
  }

  private observe(play: Play): Observation {
    const { observation, admissible } = play;
    return { text: observation, task: this.task, actions: admissible.filter((command) => command !== "help"), anchor: observation };
  }
}
