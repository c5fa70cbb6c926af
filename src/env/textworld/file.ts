/** The `.tw-pddl` file: a JSON object of three texts and a few facts about them. Knows nothing of what the texts mean. */
import { SiriError } from "../../errors.js";

export interface GameFile {
  readonly pddl_domain: string;
  readonly pddl_problem: string;
  readonly grammar: string;
  /** Absent or null: unknown. */
  readonly solvable?: boolean | null;
  /** Commands that win the game, where the file has them. */
  readonly walkthrough?: readonly string[] | null;
}

const TEXTS = ["pddl_domain", "pddl_problem", "grammar"] as const;

/** @throws SiriError `GAME_FILE` naming the key that is missing or of the wrong kind. */
export function readGameFile(source: string | GameFile): GameFile {
  let value: unknown = source;
  if (typeof source === "string") {
    try {
      value = JSON.parse(source);
    } catch (error) {
      const why = /^\s*(?:\{|$)/.test(source) ? (error as Error).message : "it does not begin with '{'";
      throw new SiriError("GAME_FILE", `not JSON, or cut off: ${why}; a game is a .tw-pddl file`, { cause: error });
    }
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new SiriError("GAME_FILE", `a JSON object with the keys ${TEXTS.join(", ")} was expected`);
  }
  const file = value as Record<string, unknown>;
  for (const key of TEXTS) {
    const text = file[key];
    if (text === undefined) throw new SiriError("GAME_FILE", `key '${key}' is missing; a game needs ${TEXTS.join(", ")}`);
    if (typeof text !== "string")
      throw new SiriError("GAME_FILE", `key '${key}' must be a text, got ${text === null ? "null" : typeof text}`);
  }
  const { solvable = null, walkthrough = null } = file;
  if (solvable !== null && typeof solvable !== "boolean") throw new SiriError("GAME_FILE", `key 'solvable' must be true, false or null`);
  if (walkthrough !== null && !(Array.isArray(walkthrough) && walkthrough.every((command) => typeof command === "string"))) {
    throw new SiriError("GAME_FILE", `key 'walkthrough' must be a list of commands or null`);
  }
  return value as GameFile;
}

/** Says which game an error is about, in one line: messages may quote the file. */
export function inGame<T>(name: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (error instanceof SiriError) {
      throw new SiriError(error.code, `game '${name}': ${error.message}`.replace(/\p{Cc}+/gu, " "), { cause: error });
    }
    throw error;
  }
}
