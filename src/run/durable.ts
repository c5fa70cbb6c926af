/**
 * Files that survive a crash: write, sync, rename, sync the folder; and what the file system's refusals mean to a user. Knows nothing
 * of runs, checkpoints or policies.
 */
import { createHash } from "node:crypto";
import { createReadStream, statfsSync } from "node:fs";
import { mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join, relative, sep } from "node:path";
import { SiriError } from "../errors.js";

/** Prefix of everything that is not yet, or no longer, part of a run: removed at the next start. */
export const TEMPORARY = ".tmp-";

/** Flushes a file or a folder to the disk. Folders cannot be synced on Windows; there a rename is as durable as it gets. */
export async function syncPath(path: string, kind: "file" | "folder"): Promise<void> {
  if (kind === "folder" && process.platform === "win32") return;
  const handle = await open(path, kind === "folder" ? "r" : "r+");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** All plain files below a folder, as paths relative to it with "/" between the parts, sorted. */
export async function listFiles(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  const files = entries.filter((entry) => !entry.isDirectory());
  return files.map((entry) => relative(folder, join(entry.parentPath, entry.name)).replaceAll(sep, "/")).sort();
}

/** Syncs every file and folder below `folder`, and `folder` itself. */
export async function syncTree(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await syncTree(path);
    else await syncPath(path, "file");
  }
  await syncPath(folder, "folder");
}

/** Writes one small file so that after a crash either the old content or the new one is there, whole. */
export async function writeFileDurably(path: string, data: string | Uint8Array): Promise<void> {
  const temporary = join(dirname(path), `${TEMPORARY}${process.pid}-${basename(path)}`);
  const handle = await open(temporary, "w");
  try {
    await handle.writeFile(data);
    await handle.sync();
  } catch (error) {
    await handle.close();
    await rm(temporary, { force: true });
    throw error;
  }
  await handle.close();
  await rename(temporary, path);
  await syncPath(dirname(path), "folder");
}

/**
 * Fills a folder under a temporary name, syncs it, and puts it in place of `target`. A crash leaves at `target` the old folder, the
 * new one, or (between two renames) none; never a part of one.
 */
export async function writeFolderDurably(target: string, fill: (dir: string) => Promise<void>): Promise<void> {
  const parent = dirname(target);
  const temporary = join(parent, `${TEMPORARY}${process.pid}-${basename(target)}`);
  await rm(temporary, { recursive: true, force: true });
  try {
    await mkdir(temporary, { recursive: true });
    await fill(temporary);
    await syncTree(temporary);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true }).catch(() => undefined);
    throw error;
  }
  const replaced = await moveAside(target);
  await rename(temporary, target);
  await syncPath(parent, "folder");
  if (replaced !== null) await rm(replaced, { recursive: true, force: true });
}

/** Removes a folder in two steps, so that a crash half-way leaves a temporary leftover and never half a folder under its own name. */
export async function removeFolder(target: string): Promise<void> {
  const doomed = await moveAside(target);
  if (doomed !== null) await rm(doomed, { recursive: true, force: true });
}

/** Gives a folder a temporary name; null when there is none. */
async function moveAside(target: string): Promise<string | null> {
  const parent = dirname(target);
  const aside = join(parent, `${TEMPORARY}${process.pid}-removed-${basename(target)}`);
  await rm(aside, { recursive: true, force: true });
  try {
    await rename(target, aside);
    return aside;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}

/** Removes what interrupted writes left in a folder, with `deep` also in those below it. */
export async function removeTemporaries(folder: string, deep = false): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.name.startsWith(TEMPORARY)) await rm(path, { recursive: true, force: true });
    else if (deep && entry.isDirectory()) await removeTemporaries(path, true);
  }
}

/** SHA-256 of a file, lower-case hex, read in pieces. */
export async function sha256(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const piece of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(piece as Uint8Array);
  return hash.digest("hex");
}

/** Free bytes for this user on the disk that holds `path`, or null where that cannot be told. */
function freeBytes(path: string): number | null {
  for (let at = path; ; at = dirname(at)) {
    try {
      const stats = statfsSync(at);
      return stats.bavail * stats.bsize;
    } catch {
      if (dirname(at) === at) return null;
    }
  }
}

function amount(bytes: number): string {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  for (; value >= 1000 && unit < units.length - 1; unit++) value /= 1000;
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

/** The system's words for refusals, in which the engine tells them. */
const WORDS: Readonly<Record<string, string>> = {
  "No space left on device": "ENOSPC",
  "Disk quota exceeded": "EDQUOT",
  "File too large": "EFBIG",
  "Read-only file system": "EROFS",
  "Permission denied": "EACCES",
};

/** Code of the refusal behind an error of the engine: by the words in its message, or that of its cause. */
function refusalOf(error: SiriError): string | undefined {
  const told = Object.entries(WORDS).find(([words]) => error.message.includes(words))?.[1];
  return told ?? ((error.cause ?? {}) as NodeJS.ErrnoException).code;
}

/**
 * Turns a refusal of the file system into an error that says what to do: RUN_DISK_FULL, RUN_NOT_WRITABLE or RUN_IO. Errors that
 * are already ours, or do not come from the file system, pass through unchanged; the engine's own words for a refusal are understood.
 * @param doing what was being written or read, as a noun phrase: "checkpoint step-20"
 */
export function explainFileError(error: unknown, doing: string, path: string): unknown {
  const engine = error instanceof SiriError && error.code === "SIRI_FILE";
  if (error instanceof SiriError && !engine) return error;
  const code = engine ? refusalOf(error) : (error as NodeJS.ErrnoException | null)?.code;
  if (code === "ENOSPC" || code === "EDQUOT" || code === "EFBIG") {
    const free = freeBytes(path);
    const room = free === null ? "" : ` (${amount(free)} free)`;
    const what = code === "ENOSPC" ? "the disk is full" : code === "EDQUOT" ? "the disk quota is used up" : "a file-size limit was reached";
    return new SiriError(
      "RUN_DISK_FULL",
      `Cannot write ${doing} at ${path}: ${what}${room}. What was saved before is whole: make room, then go on with --resume.`,
      { cause: error },
    );
  }
  if (code === "EACCES" || code === "EPERM" || code === "EROFS") {
    const what = code === "EROFS" ? "the file system is read-only" : "permission denied";
    return new SiriError(
      "RUN_NOT_WRITABLE",
      `Cannot write ${doing} at ${path}: ${what}. Make the folder writable, or choose another one with --set run.root=FOLDER.`,
      { cause: error },
    );
  }
  if (code !== undefined && (error as NodeJS.ErrnoException).syscall !== undefined) {
    return new SiriError("RUN_IO", `Cannot use ${doing} at ${path}: ${(error as Error).message}.`, { cause: error });
  }
  return error;
}

/** Runs `work` with the file system's refusals explained. */
export async function explaining<T>(doing: string, path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw explainFileError(error, doing, path);
  }
}
