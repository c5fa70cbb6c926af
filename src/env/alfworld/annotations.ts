/**
 * Task sentences that people wrote: `turk_annotations.anns[].task_desc` of a trial's `traj_data.json`, two or three a game. They stand in
 * the place of the sentence that the game file was made with; nothing else about the game changes.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { z } from "zod";
import { SiriError } from "../../errors.js";
import { replaceTask } from "../textworld/grammar.js";
import { type GameFile, readGameFile } from "../textworld/index.js";
import { readText } from "./read-text.js";

const FILE = "traj_data.json";

const trajectorySchema = z.object({
  turk_annotations: z.object({ anns: z.array(z.object({ task_desc: z.string() })) }),
});

/** The sentences of a trial, in the file's order. @throws SiriError ENVIRONMENT_DATA naming the file and what is wrong with it */
export function annotations(root: string, id: string): string[] {
  const file = `${id}/${FILE}`;
  const fail = (what: string): never => {
    throw new SiriError("ENVIRONMENT_DATA", `'${file}' ${what}`);
  };
  let json: unknown;
  try {
    json = JSON.parse(readText(join(root, file)));
  } catch (error) {
    return fail(`${error instanceof SyntaxError ? "is not JSON, or cut off" : "cannot be read"}: ${(error as Error).message}`);
  }
  const parsed = trajectorySchema.safeParse(json);
  if (!parsed.success) return fail(`has no turk_annotations.anns with texts 'task_desc'`);
  const sentences = parsed.data.turk_annotations.anns.map(({ task_desc }) => oneLine(task_desc)).filter((text) => text !== "");
  return sentences.length > 0 ? sentences : fail("has no task sentence");
}

/**
 * One of the sentences, or undefined for the game's own: the same for a game and a seed on every machine and in any order.
 * @param share of the games that get a sentence, 0 to 1
 */
export function drawAnnotation(root: string, id: string, seed: number, share: number): string | undefined {
  if (share === 0) return undefined;
  const digest = createHash("sha256").update(`${seed}/${id}`).digest();
  if (digest.readUInt32LE(0) / 2 ** 32 >= share) return undefined;
  const sentences = annotations(root, id);
  return sentences[digest.readUInt32LE(4) % sentences.length];
}

/** The same game with another task sentence. @throws SiriError GAME_FILE, GRAMMAR_CONTENT */
export function withTask(source: string | GameFile, sentence: string): GameFile {
  const file = readGameFile(source);
  return { ...file, grammar: replaceTask(file.grammar, sentence) };
}

/** A line break would end the game's sentence early; the original engine cannot even read such a game. */
const oneLine = (text: string): string => text.replace(/[\s\p{Cc}]+/gu, " ").trim();
