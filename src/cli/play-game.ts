/** `siri play --game`: the text game that a user means by a file, a trial's folder, a task's place in its split, or an ALFWorld task id. */
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { ALFWORLD_SPLITS, findRelease, GAME_FILE } from "../env/alfworld/release.js";
import { type Game, parseGame } from "../env/textworld/index.js";
import { SiriError } from "../errors.js";

export interface NamedGame {
  readonly env: "household" | "alfworld";
  /** A path that exists goes before a place or an id. Places count from 0, in the order of `siri eval`. */
  readonly game: string;
  /** ALFWorld's data folder; absent: the variable ALFWORLD_DATA. */
  readonly data?: string;
}

/**
 * @param note gets what a user should know of the split
 * @throws SiriError GAME_FILE, ENVIRONMENT_DATA, TASK_UNKNOWN, SPLIT_UNKNOWN, and what `parseGame` throws
 */
export async function findGame({ env, game, data }: NamedGame, note: (text: string) => void): Promise<Game> {
  const { default: alfworld, readGame } = await import("../env/alfworld/index.js");
  if (existsSync(game)) return readGame(statSync(game).isDirectory() ? join(game, GAME_FILE) : game);
  const [, split, number] = /^(\w+)\/(\d+)$/.exec(game) ?? [];
  if (env === "household") {
    if (split === undefined) throw unknownGame(env, game, "a .tw-pddl file, or a place in a split such as train/17");
    const { gameOf, householdTask } = await import("../env/household/index.js");
    return parseGame(gameOf(householdTask(split, Number(number))).file, game);
  }
  if (split === undefined && !ALFWORLD_SPLITS.some((name) => game.startsWith(`${name}/`))) {
    throw unknownGame(env, game, "a .tw-pddl file, a trial's folder, a place in a split such as valid_seen/3, or the id of a task");
  }
  const release = findRelease(data ?? process.env.ALFWORLD_DATA);
  if (split === undefined) return readGame(join(release, game, GAME_FILE));
  const tasks = alfworld(data === undefined ? {} : { data }).tasks(split);
  tasks.notes.forEach(note);
  return readGame(join(release, tasks.at(Number(number)).id, GAME_FILE));
}

function unknownGame(env: string, game: string, wanted: string): SiriError {
  return new SiriError("GAME_FILE", `game file '${game}' cannot be read: there is no such file; --game with --env ${env} takes ${wanted}`);
}
