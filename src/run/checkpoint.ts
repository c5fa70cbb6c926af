/**
 * Checkpoints on disk: `checkpoints/step-N/` with the writer's own files, `state.json`, and last a `manifest.json` that holds size and
 * SHA-256 of every other file. A folder without a manifest that fits is not a checkpoint. Knows nothing of what is in the files.
 */
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { SiriError } from "../errors.js";
import { listFiles, removeFolder, sha256, writeFolderDurably } from "./durable.js";

export type JsonValue = null | boolean | number | string | readonly JsonValue[] | { readonly [key: string]: JsonValue };

/** A checkpoint that has been verified. */
export interface Checkpoint {
  /** Iterations done when it was taken. */
  readonly step: number;
  /** Folder holding the writer's files. */
  readonly dir: string;
  /** What the trainer gave to `saveCheckpoint`. */
  readonly state: JsonValue;
  /** Length in bytes of each record file of the run (by file name) that belongs to this checkpoint. */
  readonly recordBytes: Readonly<Record<string, number>>;
}

interface Manifest {
  readonly version: 1;
  readonly step: number;
  readonly files: Readonly<Record<string, { readonly bytes: number; readonly sha256: string }>>;
}

const MANIFEST = "manifest.json";
const STATE = "state.json";

/** Steps for which a folder stands in `folder`, ascending; not verified. */
export async function checkpointSteps(folder: string): Promise<number[]> {
  const names = await readdir(folder);
  return names
    .map((name) => /^step-(\d+)$/.exec(name)?.[1])
    .filter((digits) => digits !== undefined)
    .map(Number)
    .sort((a, b) => a - b);
}

/** Writes a checkpoint; when this resolves it is on the disk, and if it fails nothing of it is. */
export async function writeCheckpoint(
  folder: string,
  step: number,
  recordBytes: Readonly<Record<string, number>>,
  state: JsonValue,
  writeFiles: (dir: string) => Promise<void>,
): Promise<string> {
  const target = join(folder, `step-${step}`);
  await writeFolderDurably(target, async (dir) => {
    await writeFiles(dir);
    await writeFile(join(dir, STATE), `${JSON.stringify({ step, recordBytes, state }, null, 1)}\n`);
    const files: Record<string, { bytes: number; sha256: string }> = {};
    for (const name of await listFiles(dir)) {
      const path = join(dir, name);
      files[name] = { bytes: (await stat(path)).size, sha256: await sha256(path) };
    }
    const manifest: Manifest = { version: 1, step, files };
    await writeFile(join(dir, MANIFEST), `${JSON.stringify(manifest, null, 1)}\n`);
  });
  return target;
}

/** Reads and verifies one checkpoint. @throws SiriError CHECKPOINT_BROKEN that says what is wrong with which file */
export async function readCheckpoint(folder: string, step: number): Promise<Checkpoint> {
  const dir = join(folder, `step-${step}`);
  const broken = (what: string, cause?: unknown) => new SiriError("CHECKPOINT_BROKEN", `Checkpoint ${dir} is broken: ${what}.`, { cause });
  let manifest: Manifest;
  try {
    manifest = JSON.parse(await readFile(join(dir, MANIFEST), "utf8")) as Manifest;
  } catch (error) {
    throw broken(`${MANIFEST} cannot be read (${(error as Error).message})`, error);
  }
  if (manifest.version !== 1 || manifest.step !== step || typeof manifest.files !== "object" || !(STATE in manifest.files)) {
    throw broken(`${MANIFEST} is not one of this program`);
  }
  for (const [name, expected] of Object.entries(manifest.files)) {
    const path = join(dir, name);
    const found = await stat(path).catch(() => null);
    if (found === null) throw broken(`${name} is missing`);
    if (found.size !== expected.bytes) throw broken(`${name} has ${found.size} bytes instead of ${expected.bytes}`);
    let hash: string;
    try {
      hash = await sha256(path);
    } catch (error) {
      throw broken(`${name} cannot be read (${(error as Error).message})`, error);
    }
    if (hash !== expected.sha256) throw broken(`${name} does not have the SHA-256 it was written with`);
  }
  const stored = JSON.parse(await readFile(join(dir, STATE), "utf8")) as { recordBytes: Record<string, number>; state: JsonValue };
  return { step, dir, state: stored.state, recordBytes: stored.recordBytes };
}

/** Which checkpoints to keep. */
export interface Retention {
  /** The newest this many, >= 1. */
  readonly keepLast: number;
  /** And every one whose step is a multiple of this; 0 for none. */
  readonly keepEvery: number;
}

/** Removes what the retention rule does not keep. Steps above `newest` belong to a future that was given up, and go too. */
export async function pruneCheckpoints(folder: string, newest: number, rule: Retention): Promise<void> {
  const steps = await checkpointSteps(folder);
  const past = steps.filter((step) => step <= newest);
  const keep = new Set(past.slice(-rule.keepLast));
  for (const step of past) if (rule.keepEvery > 0 && step % rule.keepEvery === 0) keep.add(step);
  for (const step of steps) if (!keep.has(step)) await removeFolder(join(folder, `step-${step}`));
}
