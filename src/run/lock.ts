/**
 * One process at a time in a folder: a file that names the process holding it. The lock of a process that is gone is taken over; one
 * of another machine is never judged. Knows nothing of what the folder holds.
 */
import { randomUUID } from "node:crypto";
import { closeSync, fsyncSync, linkSync, openSync, readFileSync, renameSync, rmSync, writeSync } from "node:fs";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { SiriError } from "../errors.js";
import { explainFileError, TEMPORARY } from "./durable.js";

interface Holder {
  readonly pid: number;
  readonly host: string;
  /** Tells two processes with one number apart: boot and start time; null where the system does not say. */
  readonly identity: string | null;
  readonly since: string;
}

/** Takes the lock and returns the function that gives it back. @throws SiriError RUN_LOCKED */
export function takeLock(path: string): () => void {
  const mine: Holder = { pid: process.pid, host: hostname(), identity: identity(process.pid), since: new Date().toISOString() };
  const text = `${JSON.stringify(mine)}\n`;
  const draft = join(dirname(path), `${TEMPORARY}lock-${randomUUID()}`);
  try {
    for (let attempt = 0; attempt < 5; attempt++) {
      const fd = openSync(draft, "w");
      try {
        writeSync(fd, text);
        fsyncSync(fd);
      } finally {
        closeSync(fd);
      }
      try {
        linkSync(draft, path); // appears whole or not at all
        return () => {
          if (readText(path) === text) rmSync(path, { force: true });
        };
      } catch (error) {
        const code = (error as NodeJS.ErrnoException).code;
        if (code === "EEXIST") removeIfStale(path);
        else if (code !== "ENOENT") throw error; // ENOENT: the holder tidied the draft away; make it again
      }
    }
    throw new SiriError("RUN_LOCKED", `${path} is being taken by several processes at once: try again.`);
  } catch (error) {
    throw explainFileError(error, "the lock", path);
  } finally {
    rmSync(draft, { force: true });
  }
}

function removeIfStale(path: string): void {
  const text = readText(path);
  if (text === null) return;
  const holder = parse(text);
  if (holder !== null && holder.host !== hostname()) {
    throw new SiriError(
      "RUN_LOCKED",
      `${dirname(path)} is in use by process ${holder.pid} on machine ${holder.host} since ${holder.since}. If that process is gone, delete ${path}.`,
    );
  }
  if (holder !== null && isAlive(holder)) {
    throw new SiriError(
      "RUN_LOCKED",
      `${dirname(path)} is in use by process ${holder.pid} since ${holder.since}. Wait for it, stop it, or choose another --name.`,
    );
  }
  // Two takers may be here at once: whoever moves the file away must have moved the one that was judged.
  const aside = join(dirname(path), `${TEMPORARY}lock-stale-${randomUUID()}`);
  try {
    renameSync(path, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw error;
  }
  if (readText(aside) !== text) {
    try {
      linkSync(aside, path);
    } catch {
      // A third one holds it by now.
    }
  }
  rmSync(aside, { force: true });
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}

function parse(text: string): Holder | null {
  try {
    const value = JSON.parse(text) as Holder;
    return Number.isSafeInteger(value.pid) && typeof value.host === "string" ? value : null;
  } catch {
    return null; // torn by a power cut: nobody holds it
  }
}

function isAlive(holder: Holder): boolean {
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
  }
  const now = identity(holder.pid);
  return now === null || holder.identity === null || now === holder.identity;
}

/** Linux: boot id and the start time in field 22 of /proc/PID/stat, counted after the command's closing parenthesis. */
function identity(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return `${readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()}/${fields[19]}`;
  } catch {
    return null;
  }
}
