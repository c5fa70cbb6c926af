/**
 * Loads a binary in a child process before this process does, since a damaged one may take the process down with it. A file that
 * passed is remembered by its path, size and time of change in the user's cache folder, so that the trial is made once. Where nothing
 * can be written there, it is made at each start. Knows nothing of what the binary does.
 */
import { type SpawnSyncReturns, spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, isAbsolute, join } from "node:path";

const TIMEOUT_MS = 60_000;
const TOKEN = "siri-trial";
// Plain old JavaScript: runs by --eval. The message goes out as JSON, because a message may hold anything.
const PROGRAM = `let said = "ok";
try { require(process.argv[1]); } catch (error) { said = String(error && error.message || error); }
require("node:fs").writeSync(1, "\\n${TOKEN} " + JSON.stringify(said) + "\\n");`;

/** How a trial went: `reason` when the binary cannot be loaded, in words that follow its name. */
export interface Trial {
  readonly reason?: string;
  /** For siri doctor. */
  readonly how: "tried in a child process now" | "tried in a child process before" | "not tried, since no child process could be started";
}

/** Tries the binary at `path`, or remembers that it passed. */
export function tryBinary(path: string, env: NodeJS.ProcessEnv = process.env): Trial {
  const record = recordOf(path, env);
  if (record !== undefined && readQuietly(record.file) === record.text) return { how: "tried in a child process before" };
  const trial = tryInChild(path, env);
  if (record !== undefined && trial.reason === undefined && trial.how === "tried in a child process now") write(record);
  return trial;
}

function tryInChild(path: string, env: NodeJS.ProcessEnv): Trial {
  const how = "tried in a child process now";
  const child = startChild(path, env);
  const error = child?.error as NodeJS.ErrnoException | undefined;
  if (error?.code === "ETIMEDOUT") return { how, reason: `loading it did not end within ${TIMEOUT_MS / 1000} s` };
  if (child === undefined || error !== undefined) return { how: "not tried, since no child process could be started" };
  const said = new RegExp(`^${TOKEN} (.*)$`, "m").exec(child.stdout)?.[1];
  if (said !== undefined && child.status === 0) {
    const message = JSON.parse(said) as string;
    return message === "ok" ? { how } : { how, reason: message.split("\n")[0]! };
  }
  const end = child.signal !== null ? `signal ${child.signal}` : `exit code ${child.status}`;
  return { how, reason: `loading it ends the process (${end}): it is damaged or needs what this machine does not have` };
}

/** The child after its end; undefined where none may be started. */
function startChild(path: string, env: NodeJS.ProcessEnv): SpawnSyncReturns<string> | undefined {
  // An Electron program started again would be that program again; so would whatever else is not node, which SIRI_TRIAL stops.
  if (process.versions.electron !== undefined || env.SIRI_TRIAL) return undefined;
  try {
    return spawnSync(process.execPath, ["--eval", PROGRAM, path], {
      encoding: "utf8",
      env: { ...env, NODE_OPTIONS: "", SIRI_TRIAL: "1" },
      stdio: ["ignore", "pipe", "ignore"],
      timeout: TIMEOUT_MS,
      killSignal: "SIGKILL",
      windowsHide: true,
    });
  } catch {
    return undefined; // Node's permission model
  }
}

interface TrialRecord {
  readonly file: string;
  /** What the file holds when this very binary passed under this very Node. */
  readonly text: string;
}

function recordOf(path: string, env: NodeJS.ProcessEnv): TrialRecord | undefined {
  const folder = cacheFolder(env);
  if (folder === undefined) return undefined;
  const { size, mtimeMs } = statSync(path);
  const name = `${createHash("sha256").update(path).digest("hex").slice(0, 32)}.json`;
  return { file: join(folder, name), text: `${JSON.stringify({ path, size, mtimeMs, node: process.version, arch: process.arch })}\n` };
}

/** The user's own folder for what can be made again; undefined where there is none (no home, or an empty HOME). */
export function cacheFolder(env: NodeJS.ProcessEnv): string | undefined {
  const candidates = process.platform === "win32" ? [env.LOCALAPPDATA] : [env.XDG_CACHE_HOME, homeCache(env)];
  const found = candidates.find((folder) => folder !== undefined && isAbsolute(folder));
  return found === undefined ? undefined : join(found, "siri-rl", "trials");
}

function homeCache(env: NodeJS.ProcessEnv): string | undefined {
  try {
    return join(env.HOME ?? homedir(), process.platform === "darwin" ? "Library/Caches" : ".cache");
  } catch {
    return undefined; // a user that the system does not know
  }
}

function readQuietly(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

/** Whole or not at all; a folder that cannot be written is no error. */
function write({ file, text }: TrialRecord): void {
  const draft = `${file}.${randomBytes(6).toString("hex")}`;
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    writeFileSync(draft, text, { flag: "wx", mode: 0o600 });
    renameSync(draft, file);
  } catch {
    try {
      rmSync(draft, { force: true });
    } catch {
      // nothing was written
    }
  }
}
