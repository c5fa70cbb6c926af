/**
 * What is known of every game file of a split: can it be played, and does it say that it can be solved. Finding out takes a second for
 * every thousand files, so it is kept in one file, beside the data or, where that cannot be written, in the user's cache folder. A file
 * is looked at again when its size or a time differs, and checked again when its content does. A damaged or missing index is made anew.
 */
import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { z } from "zod";
import { SiriError } from "../../errors.js";
import { cacheFolder } from "../cache-folder.js";
import { parseGame } from "../textworld/index.js";
import { readText } from "./read-text.js";
import { GAME_FILE, type GameEntry, listGames, type Stamp } from "./release.js";

export interface IndexedGame extends GameEntry {
  /** SHA-256 of the text; null: the file cannot be read. */
  readonly hash: string | null;
  /** What the file says; null: it does not. */
  readonly solvable: boolean | null;
  /** Why it cannot be played, in one line that names the file; null: it can. */
  readonly problem: string | null;
}

export interface GameIndex {
  readonly games: readonly IndexedGame[];
  /** Files that had to be read. */
  readonly read: number;
  /** Where the index is kept; null: it could be written nowhere. */
  readonly file: string | null;
}

type Known = Stamp & Pick<IndexedGame, "hash" | "solvable" | "problem">;

/** The index of an earlier start. */
interface Kept {
  /** When it was made, ms since 1970. */
  readonly time: number;
  readonly games: ReadonlyMap<string, Known>;
}

const FORMAT = 1;
/** A file may change twice within one tick of its clock. A stamp this young, in ms, when the index was made says nothing. */
const YOUNG = 2000;

const headSchema = z.strictObject({ format: z.literal(FORMAT), time: z.number(), sha256: z.string() });
const rowsSchema = z.array(
  z.tuple([z.string(), z.number(), z.number(), z.number(), z.string().nullable(), z.boolean().nullable(), z.string().nullable()]),
);

/**
 * @param root folder of the splits
 * @throws SiriError ENVIRONMENT_DATA when the split is not there
 */
export function indexGames(root: string, split: string): GameIndex {
  const time = Date.now();
  const entries = listGames(root, split);
  const places = [join(root, `${split}.siri-index.json`), join(cacheFolder("alfworld"), `${sha256(root).slice(0, 16)}-${split}.json`)];
  const kept = places.map(readIndex);
  let read = 0;
  let isNews = false;
  const games = entries.map((entry): IndexedGame => {
    const known = kept.flatMap((index) => {
      const game = index?.games.get(entry.id);
      return game ? [{ game, isSettled: isSettled(game, index!.time) }] : [];
    });
    if (entry.type === null) return { ...entry, hash: null, solvable: null, problem: foreignFolder(entry.id) };
    const same = known.find(({ game, isSettled }) => isSettled && isSameStamp(game, entry))?.game;
    // What could not be played is tried again each time: another version of the engine may be able to.
    if (same && same.problem === null) return { ...same, ...entry };
    read++;
    const checked = check(root, entry.id, (hash) => known.find(({ game }) => game.problem === null && game.hash === hash)?.game);
    isNews ||= checked.problem !== same?.problem;
    return { ...entry, ...checked };
  });
  const first = kept.findIndex((index) => index !== null);
  isNews ||= first < 0 || kept[first]!.games.size !== games.length;
  return { games, read, file: isNews ? writeIndex(places, time, games) : places[first]! };
}

function check(root: string, id: string, known: (hash: string) => Known | undefined): Pick<IndexedGame, "hash" | "solvable" | "problem"> {
  const file = `${id}/${GAME_FILE}`;
  let text: string;
  try {
    text = readText(join(root, file));
  } catch (error) {
    return { hash: null, solvable: null, problem: `game '${file}' cannot be read: ${(error as Error).message}` };
  }
  const hash = sha256(text);
  const same = known(hash);
  if (same) return { hash, solvable: same.solvable, problem: null };
  try {
    const { solvable } = parseGame(text, file);
    return { hash, solvable, problem: null };
  } catch (error) {
    if (!(error instanceof SiriError)) throw error;
    return { hash, solvable: null, problem: error.message };
  }
}

function foreignFolder(id: string): string {
  return `game '${id}/${GAME_FILE}': its folder begins with no task type of ALFWorld; official folders are <type>-<object>-...-<scene>`;
}

function isSameStamp(a: Stamp, b: Stamp): boolean {
  return a.size === b.size && a.modified === b.modified && a.changed === b.changed;
}

function isSettled({ modified, changed }: Stamp, time: number): boolean {
  return Math.max(modified, changed) < time - YOUNG;
}

/** Null: not there, not readable, of another format, or damaged. */
function readIndex(file: string): Kept | null {
  try {
    const text = readFileSync(file, "utf8");
    const end = text.indexOf("\n");
    const { time, sha256: expected } = headSchema.parse(JSON.parse(text.slice(0, end)));
    const body = text.slice(end + 1);
    if (sha256(body) !== expected) return null;
    const rows = rowsSchema.parse(JSON.parse(body));
    const games = rows.map(([id, size, modified, changed, hash, solvable, problem]) => {
      return [id, { size, modified, changed, hash, solvable, problem }] as const;
    });
    return { time, games: new Map(games) };
  } catch {
    return null;
  }
}

/** Puts a whole file in place of the old one, so that processes at work at once never see half of one. @returns the file, null: nowhere */
function writeIndex(places: readonly string[], time: number, games: readonly IndexedGame[]): string | null {
  const rows = games.map(({ id, size, modified, changed, hash, solvable, problem }) => {
    return JSON.stringify([id, size, modified, changed, hash, solvable, problem]);
  });
  const body = `[${rows.join(",\n")}]\n`;
  const text = `${JSON.stringify({ format: FORMAT, time, sha256: sha256(body) })}\n${body}`;
  for (const file of places) {
    const temporary = `${file}.${process.pid}-${randomBytes(4).toString("hex")}.tmp`;
    try {
      // The data folder is there; of the cache folder one cannot know.
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(temporary, text);
      renameSync(temporary, file);
      return file;
    } catch {
      // A cache that cannot be written costs time, nothing else.
      removeQuietly(temporary);
    }
  }
  return null;
}

function removeQuietly(file: string): void {
  try {
    rmSync(file, { force: true });
  } catch {
    // Where there is no folder, or no right to write, there is no file either.
  }
}

const sha256 = (data: string): string => createHash("sha256").update(data).digest("hex");
