/**
 * Where a release keeps its games: `json_2.1.1/<split>/<type>-<object>-<...>-<scene>/trial_<...>/game.tw-pddl`. Lists the files of a split
 * without reading one. Knows nothing of what is in them.
 */
import { readdirSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { SiriError } from "../../errors.js";

/** `valid_train`: a small part of `train` that older releases have, too. */
export const ALFWORLD_SPLITS = ["train", "valid_seen", "valid_unseen", "valid_train"] as const;
export type AlfworldSplit = (typeof ALFWORLD_SPLITS)[number];

/** Games of the official release that pass its filters: all six types, solvable. */
export const OFFICIAL_COUNTS: Readonly<Partial<Record<AlfworldSplit, number>>> = { train: 3553, valid_seen: 140, valid_unseen: 134 };

export const ALFWORLD_TASK_TYPES = [
  "pick_and_place_simple",
  "look_at_obj_in_light",
  "pick_clean_then_place_in_recep",
  "pick_heat_then_place_in_recep",
  "pick_cool_then_place_in_recep",
  "pick_two_obj_and_place",
] as const;

const RELEASE = "json_2.1.1";
export const GAME_FILE = "game.tw-pddl";

/** What tells whether a file has changed, without reading it: bytes, and times in milliseconds. */
export interface Stamp {
  readonly size: number;
  readonly modified: number;
  /** Change of the inode, which no program can set back. */
  readonly changed: number;
}

/** A game file of a split. */
export interface GameEntry extends Stamp {
  /** `train/<task>/<trial>`, with `/` on every system: the id of the task. */
  readonly id: string;
  /** What the folder of the task begins with; null: none of the six types. */
  readonly type: string | null;
}

/** @throws SiriError ENVIRONMENT_DATA when there is no such folder, or no release in it. */
export function findRelease(data: string | undefined): string {
  const advice = `Set the option 'data' (--data on the command line) or ALFWORLD_DATA to the folder that holds ${RELEASE}/.`;
  if (data === undefined || data === "") throw new SiriError("ENVIRONMENT_DATA", `alfworld: no data folder is given. ${advice}`);
  const folder = resolve(data);
  const root = [join(folder, RELEASE), folder].find((each) => ALFWORLD_SPLITS.some((split) => isFolder(join(each, split))));
  if (root !== undefined) return root;
  const what = isFolder(folder) ? `holds no ${RELEASE}/ with a split in it (${ALFWORLD_SPLITS.join(", ")})` : "is no folder";
  throw new SiriError("ENVIRONMENT_DATA", `alfworld: '${folder}' ${what}. ${advice}`);
}

/**
 * The game files of a split by path, ascending. Trials without one are passed over, and so are sliced objects and movable receptacles,
 * which were never part of the text games.
 * @throws SiriError ENVIRONMENT_DATA when the split's folder is not there.
 */
export function listGames(root: string, split: string): GameEntry[] {
  const folder = join(root, split);
  if (!isFolder(folder)) {
    throw new SiriError("ENVIRONMENT_DATA", `alfworld: split '${split}' is missing; '${folder}' is no folder`);
  }
  const found: GameEntry[] = [];
  for (const task of readdirSync(folder)) {
    if (task.includes("movable") || task.includes("Sliced") || !isFolder(join(folder, task))) continue;
    const type = ALFWORLD_TASK_TYPES.find((name) => task.startsWith(`${name}-`)) ?? null;
    const add = (id: string) => {
      const stamp = stampOf(join(root, id, GAME_FILE));
      if (stamp) found.push({ id, type, ...stamp });
    };
    try {
      for (const trial of readdirSync(join(folder, task))) add(`${split}/${task}/${trial}`);
    } catch {
      // A folder that may not be looked into: whoever reads the file that is named here says why.
      found.push({ id: `${split}/${task}`, type, ...UNKNOWN });
    }
  }
  return found.sort((a, b) => (a.id < b.id ? -1 : 1));
}

const UNKNOWN: Stamp = { size: -1, modified: -1, changed: -1 };

/** Null: there is no such file. */
function stampOf(file: string): Stamp | null {
  try {
    const { size, mtimeMs, ctimeMs } = statSync(file);
    return { size, modified: mtimeMs, changed: ctimeMs };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === "ENOENT" || code === "ENOTDIR" ? null : UNKNOWN;
  }
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}
