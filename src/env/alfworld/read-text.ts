/** Files of a release as text. Knows nothing of what they hold; callers say which file an error is about. */
import { readFileSync, statSync } from "node:fs";

/** A game has 0.2 MB at most. Reading a video that lies in its place would take all memory. */
const LARGEST_BYTES = 16_000_000;

/**
 * The text of a UTF-8 file, without a byte order mark.
 * @throws Error whose message can stand behind "<file> cannot be read: "
 */
export function readText(path: string): string {
  const stats = statSync(path);
  // A pipe would be waited for without end.
  if (!stats.isFile()) throw new Error("it is no file");
  if (stats.size > LARGEST_BYTES) throw new Error(`it has ${(stats.size / 1e6).toFixed(1)} MB, which is over ${LARGEST_BYTES / 1e6}`);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(path));
  } catch (error) {
    throw error instanceof TypeError ? new Error("it is not UTF-8", { cause: error }) : error;
  }
}
