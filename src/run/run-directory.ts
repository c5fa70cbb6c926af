/**
 * The folder a run leaves behind, and the promise that a run killed at any instant and started again with `resume` leaves the same
 * files as one that was never killed. Knows nothing of policies, phases or what a metric means.
 *
 *   config.yaml         the resolved configuration
 *   metrics.jsonl       one line per iteration; the same bytes for the same seed and config
 *   skills.jsonl        every skill, paired comparison, promotion, retirement; the same bytes for the same seed and config
 *   timings.jsonl       one line per iteration: seconds by part, those of JavaScript's main thread, rates, prompt tokens run and found in the
 *                       cache: what differs from run to run
 *   trajectories/       samples to read
 *   checkpoints/step-N/ see checkpoint.ts
 *   final/              the plain policy, once the run is done
 *   lock                the process that writes here, while it does
 */
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { parse, stringify } from "yaml";
import { SiriError } from "../errors.js";
import {
  type Checkpoint,
  checkpointSteps,
  type JsonValue,
  pruneCheckpoints,
  type Retention,
  readCheckpoint,
  writeCheckpoint,
} from "./checkpoint.js";
import { explaining, removeFolder, removeTemporaries, syncTree, TEMPORARY, writeFileDurably, writeFolderDurably } from "./durable.js";
import { JsonLines, requireLines } from "./jsonl.js";
import { takeLock } from "./lock.js";

export interface RunOptions {
  /** Folder that holds the runs; made when missing. */
  readonly root: string;
  /** The run's own folder name. */
  readonly name: string;
  /** The resolved configuration: plain JSON values. */
  readonly config: object;
  /** Go on in an existing folder. A folder that does not exist yet is begun, with a note. */
  readonly resume: boolean;
  /** Which differences from the stored configuration a resumed run may have; the new value is then stored. Default: none. */
  readonly mayDiffer?: (difference: Difference) => boolean;
  /** Default: keep the newest two. */
  readonly retention?: Retention;
}

/** One key at which the stored configuration and the given one differ; undefined: the key is not there. */
export interface Difference {
  /** Dotted. */
  readonly key: string;
  readonly stored: JsonValue | undefined;
  readonly given: JsonValue | undefined;
}

/** The record files, by the name of the run's property. */
const RECORDS = { metrics: "metrics.jsonl", skills: "skills.jsonl", timings: "timings.jsonl" } as const;

export class RunDirectory {
  /** Absolute path of the run's folder. */
  readonly dir: string;
  readonly name: string;
  /** What the user should be told about how the run was found: leftovers, broken checkpoints, a fresh start. One sentence each. */
  readonly notes: readonly string[];
  /** One line per iteration. Put nothing here that a clock decides. */
  readonly metrics: JsonLines;
  /** Every event of the skill bank. Put nothing here that a clock decides. */
  readonly skills: JsonLines;
  /** What a clock decides: seconds and rates per iteration. */
  readonly timings: JsonLines;
  readonly #retention: Retention;
  readonly #unlock: () => void;
  /** Made by this object, so that it may take it away again. */
  readonly #begun: boolean;
  #latest: Checkpoint | null;
  #closed = false;

  private constructor(
    dir: string,
    notes: readonly string[],
    records: { metrics: JsonLines; skills: JsonLines; timings: JsonLines },
    latest: Checkpoint | null,
    retention: Retention,
    unlock: () => void,
    begun: boolean,
  ) {
    this.dir = dir;
    this.name = basename(dir);
    this.notes = notes;
    this.metrics = records.metrics;
    this.skills = records.skills;
    this.timings = records.timings;
    this.#latest = latest;
    this.#retention = retention;
    this.#unlock = unlock;
    this.#begun = begun;
  }

  /**
   * Begins a run, or takes one up again at its newest whole checkpoint: the record files are cut back to what that covers.
   * @throws SiriError RUN_NAME, RUN_EXISTS, RUN_CONFIG_DIFFERS, RUN_LOCKED, CHECKPOINT_BROKEN, RUN_DISK_FULL, RUN_NOT_WRITABLE
   */
  static async open(options: RunOptions): Promise<RunDirectory> {
    const { name, config, resume } = options;
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(name)) {
      throw new SiriError(
        "RUN_NAME",
        `Run name ${JSON.stringify(name)} is not a folder name: use 1 to 128 letters, digits, "-", "_" and ".", beginning with a letter or digit.`,
      );
    }
    const retention = options.retention ?? { keepLast: 2, keepEvery: 0 };
    const root = resolve(options.root);
    const dir = join(root, name);
    return explaining("the run folder", dir, async () => {
      const notes: string[] = [];
      const exists = existsSync(dir);
      if (exists && !resume) {
        const isRun = existsSync(join(dir, "config.yaml"));
        const fix = isRun ? "go on with --resume, choose another --name, or delete it" : "choose another --name (it is not a run's folder)";
        throw new SiriError("RUN_EXISTS", `${dir} exists already: ${fix}.`);
      }
      if (!exists) {
        if (resume) notes.push(`There is no run at ${dir} yet: it begins now.`);
        await create(root, dir, config);
      }
      const unlock = takeLock(join(dir, "lock"));
      try {
        await adoptConfig(dir, config, options.mayDiffer ?? (() => false));
        await removeTemporaries(dir);
        await removeTemporaries(join(dir, "checkpoints"));
        await removeTemporaries(join(dir, "trajectories"), true);
        const latest = await newestWhole(dir, notes);
        // The process may have ended between a checkpoint and the removal of what it made superfluous.
        if (latest !== null && notes.length === 0) await pruneCheckpoints(join(dir, "checkpoints"), latest.step, retention);
        const records = openRecords(dir, latest?.recordBytes ?? {});
        return new RunDirectory(dir, notes, records, latest, retention, unlock, !exists);
      } catch (error) {
        unlock();
        throw error;
      }
    });
  }

  /** The checkpoint to go on from, verified when the run was opened or written since; null at the very beginning. */
  latestCheckpoint(): Checkpoint | null {
    return this.#latest;
  }

  /** Whether the run has written its final policy after its newest checkpoint. */
  get finished(): boolean {
    return existsSync(join(this.dir, "final"));
  }

  /** Writes one readable sample under `trajectories/`: text as it is, anything else as indented JSON. */
  async trajectory(name: string, data: string | object): Promise<void> {
    const path = join(this.dir, "trajectories", name);
    const text = typeof data === "string" ? data : `${JSON.stringify(data, null, 1)}\n`;
    await explaining("a trajectory", path, async () => {
      await mkdir(dirname(path), { recursive: true });
      await writeFileDurably(path, text);
    });
  }

  /**
   * Saves the state after `step` iterations. `writeFiles` fills a folder (the policy, the optimiser); `state` is everything else
   * that must survive (counters, environment cursor, skill bank), as JSON. When this resolves the checkpoint and all records
   * appended so far are on the disk; if it throws, the previous checkpoint is still the newest.
   */
  async saveCheckpoint(step: number, writeFiles: (dir: string) => Promise<void>, state: JsonValue): Promise<void> {
    const folder = join(this.dir, "checkpoints");
    await explaining(`checkpoint step-${step}`, folder, async () => {
      const recordBytes: Record<string, number> = {};
      for (const [key, file] of Object.entries(RECORDS)) {
        const lines = this[key as keyof typeof RECORDS];
        lines.sync();
        recordBytes[file] = lines.bytes;
      }
      // A final policy belongs to the newest checkpoint: that of a run which goes on is none any more.
      await removeFolder(join(this.dir, "final"));
      const dir = await writeCheckpoint(folder, step, recordBytes, state, writeFiles);
      this.#latest = { step, dir, state, recordBytes };
      await pruneCheckpoints(folder, step, this.#retention);
    });
  }

  /** Writes (or replaces) `final/`: the mark of a finished run. */
  async saveFinal(writeFiles: (dir: string) => Promise<void>): Promise<string> {
    const dir = join(this.dir, "final");
    await explaining("the final policy", dir, () => writeFolderDurably(dir, writeFiles));
    return dir;
  }

  /**
   * Closes the run and, if it began just now and has recorded nothing, takes its folder away: a run that could not even be opened for
   * training (a misspelt split, a missing model) shall not hold its name.
   */
  async abandon(): Promise<void> {
    const empty = this.#begun && this.#latest === null && this.metrics.bytes === 0;
    this.close();
    if (empty) await explaining("the run folder", this.dir, () => removeFolder(this.dir));
  }

  /** Closes the files and gives the lock back. Safe to call twice. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const key of Object.keys(RECORDS)) this[key as keyof typeof RECORDS].close();
    this.#unlock();
  }
}

/** Makes the folder under another name first: a run's folder always has its configuration. */
async function create(root: string, dir: string, config: object): Promise<void> {
  await mkdir(root, { recursive: true });
  await removeAbandoned(root, basename(dir));
  const draft = join(root, `${TEMPORARY}${process.pid}-${basename(dir)}`);
  await rm(draft, { recursive: true, force: true });
  try {
    for (const folder of [draft, join(draft, "checkpoints"), join(draft, "trajectories")]) await mkdir(folder);
    await writeFileDurably(join(draft, "config.yaml"), stringify(config));
    await syncTree(draft);
    await rename(draft, dir);
  } catch (error) {
    await rm(draft, { recursive: true, force: true }).catch(() => undefined);
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOTEMPTY" || code === "EEXIST") {
      throw new SiriError("RUN_EXISTS", `${dir} was made by another process just now: choose another --name.`);
    }
    throw error;
  }
}

/** Drafts of this run's folder whose process is gone. */
async function removeAbandoned(root: string, name: string): Promise<void> {
  for (const entry of await readdir(root)) {
    if (!entry.startsWith(TEMPORARY) || !entry.endsWith(`-${name}`)) continue;
    const pid = Number(entry.slice(TEMPORARY.length, -name.length - 1));
    if (!Number.isSafeInteger(pid)) continue;
    try {
      process.kill(pid, 0);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ESRCH") await rm(join(root, entry), { recursive: true, force: true });
    }
  }
}

/** Compares with the stored configuration; permitted differences are written down. */
async function adoptConfig(dir: string, config: object, mayDiffer: (difference: Difference) => boolean): Promise<void> {
  const path = join(dir, "config.yaml");
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    throw new SiriError("RUN_NOT_A_RUN", `${dir} has no config.yaml, so it is not a run's folder: choose another --name.`);
  }
  const differing = differences(parse(text) as JsonValue, JSON.parse(JSON.stringify(config)) as JsonValue);
  const refused = differing.filter((difference) => !mayDiffer(difference));
  if (refused.length > 0) {
    const list = refused.map(({ key, stored, given }) => `  ${key}: ${show(stored)} in the run, ${show(given)} now`).join("\n");
    throw new SiriError(
      "RUN_CONFIG_DIFFERS",
      `The run at ${dir} was begun with another configuration:\n${list}\nGive it the configuration it was begun with (${path}), or begin another run with --name.`,
    );
  }
  if (differing.length > 0) await writeFileDurably(path, stringify(config));
}

function show(value: JsonValue | undefined): string {
  return value === undefined ? "absent" : JSON.stringify(value);
}

/** Dotted keys at which two configurations differ, with both values; lists are compared whole. */
function differences(stored: JsonValue | undefined, given: JsonValue | undefined, key = ""): Difference[] {
  if (isRecord(stored) && isRecord(given)) {
    const keys = [...new Set([...Object.keys(stored), ...Object.keys(given)])];
    return keys.flatMap((name) => differences(stored[name], given[name], key === "" ? name : `${key}.${name}`));
  }
  return JSON.stringify(stored) === JSON.stringify(given) ? [] : [{ key, stored, given }];
}

function isRecord(value: JsonValue | undefined): value is { readonly [key: string]: JsonValue } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The newest checkpoint that verifies, and whose records are there. Broken newer ones are noted. */
async function newestWhole(dir: string, notes: string[]): Promise<Checkpoint | null> {
  const folder = join(dir, "checkpoints");
  const steps = await checkpointSteps(folder);
  const problems: string[] = [];
  for (const step of steps.reverse()) {
    try {
      const checkpoint = await readCheckpoint(folder, step);
      for (const [file, bytes] of Object.entries(checkpoint.recordBytes)) requireLines(join(dir, file), bytes);
      notes.push(...problems.map((problem) => `${problem} Going back to step ${step}.`));
      return checkpoint;
    } catch (error) {
      if (!(error instanceof SiriError)) throw error;
      problems.push(error.message);
    }
  }
  if (problems.length === 0) return null;
  throw new SiriError(
    "CHECKPOINT_BROKEN",
    `None of the run's checkpoints can be used:\n${problems.map((problem) => `  ${problem}`).join("\n")}\nBegin again under another --name, or delete ${dir}.`,
  );
}

type Records = { [K in keyof typeof RECORDS]: JsonLines };

/** Opens the record files, each cut to the given length (0 when none is given). */
function openRecords(dir: string, recordBytes: Readonly<Record<string, number>>): Records {
  const open = (file: string) => JsonLines.open(join(dir, file), recordBytes[file] ?? 0);
  return { metrics: open(RECORDS.metrics), skills: open(RECORDS.skills), timings: open(RECORDS.timings) };
}
