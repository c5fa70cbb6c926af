// One set-up at a time in a clone: a second one waits for the first. The lock of a process that is gone is removed.
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Runs `work` while holding the clone's set-up lock. */
export function withSetupLock(root, work) {
  const path = join(root, ".setup-lock");
  const draft = `${path}-${process.pid}`;
  writeFileSync(draft, `${process.pid}\n`);
  try {
    let told = false;
    while (!take(draft, path)) {
      const holder = readHolder(path);
      if (holder === null) continue; // given back a moment ago
      if (!isAlive(holder)) {
        removeStale(path, draft, holder);
        continue;
      }
      if (!told) process.stderr.write(`Another set-up is running in this folder (process ${holder}): waiting for it.\n`);
      told = true;
      sleep(200);
    }
  } finally {
    rmSync(draft, { force: true });
  }
  const release = () => rmSync(path, { force: true });
  // A signal ends the process before `finally`: the next set-up then finds a lock whose process is gone.
  try {
    return work();
  } finally {
    release();
  }
}

/** A hard link appears whole or not at all, so the lock always names its holder. */
function take(draft, path) {
  try {
    linkSync(draft, path);
    return true;
  } catch (error) {
    if (error.code === "EEXIST") return false;
    throw error;
  }
}

function readHolder(path) {
  try {
    return Number(readFileSync(path, "utf8"));
  } catch {
    return null;
  }
}

function isAlive(pid) {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code !== "ESRCH";
  }
}

/** Moves the lock away and makes sure that the one moved is the one judged: another waiter may have been faster. */
function removeStale(path, draft, holder) {
  const aside = `${draft}-stale`;
  try {
    renameSync(path, aside);
  } catch {
    return;
  }
  if (readHolder(aside) !== holder) take(aside, path);
  rmSync(aside, { force: true });
}

function sleep(milliseconds) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}
