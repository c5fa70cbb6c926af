import { execFileSync, spawn } from "node:child_process";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { SiriError } from "../errors.js";
import { RunDirectory, type RunOptions } from "./run-directory.js";

const CONFIG = { seed: 1, iterations: 10, rollout: { groups: 4 } };

function newRoot(): string {
  return mkdtempSync(join(tmpdir(), "siri-run-"));
}

function open(root: string, options: Partial<RunOptions> = {}): Promise<RunDirectory> {
  return RunDirectory.open({ root, name: "r", config: CONFIG, resume: false, ...options });
}

/** A run that has appended a line and saved a checkpoint at each of the given steps, closed. */
async function runWith(root: string, steps: readonly number[], options: Partial<RunOptions> = {}): Promise<string> {
  const run = await open(root, options);
  for (const step of steps) {
    run.metrics.append({ iteration: step });
    await run.saveCheckpoint(step, (dir) => writeFile(join(dir, "weights.bin"), `weights ${step}`), { step });
  }
  run.close();
  return run.dir;
}

const steps = (dir: string) => readdirSync(join(dir, "checkpoints")).sort();
const read = (...path: string[]) => readFileSync(join(...path), "utf8");

describe("beginning and resuming", () => {
  test("a new run has its configuration, empty records and no checkpoint", async () => {
    const run = await open(newRoot());
    expect(read(run.dir, "config.yaml")).toBe("seed: 1\niterations: 10\nrollout:\n  groups: 4\n");
    expect(read(run.dir, "metrics.jsonl")).toBe("");
    expect(run.latestCheckpoint()).toBeNull();
    expect(run.finished).toBe(false);
    expect(run.notes).toEqual([]);
    run.close();
    run.close();
    expect(readdirSync(run.dir).sort()).toEqual([
      "checkpoints",
      "config.yaml",
      "metrics.jsonl",
      "skills.jsonl",
      "timings.jsonl",
      "trajectories",
    ]);
  });

  test("an existing run is refused without resume, with the fix", async () => {
    const root = newRoot();
    await runWith(root, []);
    await expect(open(root)).rejects.toMatchObject({ code: "RUN_EXISTS", message: expect.stringContaining("go on with --resume") });
    mkdirSync(join(root, "other"));
    await expect(open(root, { name: "other" })).rejects.toMatchObject({ code: "RUN_EXISTS", message: expect.stringContaining("--name") });
    await expect(open(root, { name: "other", resume: true })).rejects.toMatchObject({ code: "RUN_NOT_A_RUN" });
  });

  test("an abandoned run leaves no folder when it is new and empty, and is left alone otherwise", async () => {
    const root = newRoot();
    await (await open(root)).abandon();
    expect(readdirSync(root)).toEqual([]);
    const recorded = await open(root);
    recorded.metrics.append({ iteration: 0 });
    await recorded.abandon();
    const resumed = await open(root, { resume: true });
    await resumed.abandon();
    resumed.close();
    expect(existsSync(join(resumed.dir, "config.yaml"))).toBe(true);
    expect(existsSync(join(resumed.dir, "lock"))).toBe(false);
  });

  test("a name that is no folder name is refused", async () => {
    for (const name of ["", "..", "a/b", ".hidden", "a\nb"]) {
      await expect(open(newRoot(), { name })).rejects.toMatchObject({ code: "RUN_NAME" });
    }
  });

  test("resuming a run that does not exist yet begins it and says so", async () => {
    const run = await open(newRoot(), { resume: true });
    expect(run.notes[0]).toMatch(/There is no run at .* yet: it begins now/);
    run.close();
  });

  test("resume cuts the records back to the checkpoint, torn last line included", async () => {
    const root = newRoot();
    const dir = await runWith(root, [1, 2]);
    appendFileSync(join(dir, "metrics.jsonl"), '{"iteration":3}\n{"iterat');
    appendFileSync(join(dir, "skills.jsonl"), "torn");
    const run = await open(root, { resume: true });
    expect(run.latestCheckpoint()).toMatchObject({ step: 2, state: { step: 2 } });
    expect(read(run.latestCheckpoint()!.dir, "weights.bin")).toBe("weights 2");
    run.metrics.append({ iteration: 3, bad: Number.NaN });
    run.close();
    expect(read(dir, "metrics.jsonl")).toBe('{"iteration":1}\n{"iteration":2}\n{"iteration":3,"bad":null}\n');
    expect(read(dir, "skills.jsonl")).toBe("");
  });

  test("a run killed before its first checkpoint begins again from nothing", async () => {
    const root = newRoot();
    const dir = await runWith(root, []);
    appendFileSync(join(dir, "metrics.jsonl"), '{"iteration":1}\n');
    (await open(root, { resume: true })).close();
    expect(read(dir, "metrics.jsonl")).toBe("");
  });

  test("another configuration is refused with the differing keys; permitted ones are stored", async () => {
    const root = newRoot();
    const dir = await runWith(root, [1]);
    const config = { seed: 2, iterations: 20, rollout: { groups: 4, extra: [1] } };
    const mayDiffer: RunOptions["mayDiffer"] = ({ key }) => key === "iterations";
    await expect(open(root, { resume: true, config, mayDiffer })).rejects.toMatchObject({
      code: "RUN_CONFIG_DIFFERS",
      message: expect.stringMatching(/\n {2}seed: 1 in the run, 2 now\n {2}rollout\.extra: absent in the run, \[1\] now\n/),
    });
    expect(read(dir, "config.yaml")).toContain("iterations: 10");
    (await open(root, { resume: true, config: { ...CONFIG, iterations: 20 }, mayDiffer })).close();
    expect(read(dir, "config.yaml")).toContain("iterations: 20");
  });

  test("leftovers of interrupted writes go at the next start", async () => {
    const root = newRoot();
    const dir = await runWith(root, [1]);
    mkdirSync(join(dir, "checkpoints", ".tmp-1-step-2"));
    writeFileSync(join(dir, "checkpoints", ".tmp-1-step-2", "weights.bin"), "half");
    mkdirSync(join(dir, "trajectories", "evaluation"));
    for (const name of [".tmp-1-a.json", "evaluation/.tmp-1-b.json"]) writeFileSync(join(dir, "trajectories", name), "half");
    mkdirSync(join(dir, ".tmp-1-final"));
    (await open(root, { resume: true })).close();
    expect(steps(dir)).toEqual(["step-1"]);
    expect(readdirSync(join(dir, "trajectories"), { recursive: true })).toEqual(["evaluation"]);
    expect(readdirSync(dir).filter((name) => name.startsWith("."))).toEqual([]);
  });
});

describe("checkpoints", () => {
  test("the newest K and every Mth are kept", async () => {
    const dir = await runWith(newRoot(), [1, 2, 3, 4, 5, 6, 7], { retention: { keepLast: 2, keepEvery: 3 } });
    expect(steps(dir)).toEqual(["step-3", "step-6", "step-7"]);
  });

  test("what a kill between a checkpoint and its tidying left over goes when the run is taken up", async () => {
    const root = newRoot();
    const dir = await runWith(root, [1, 2, 3], { retention: { keepLast: 3, keepEvery: 0 } });
    (await open(root, { resume: true, retention: { keepLast: 1, keepEvery: 2 } })).close();
    expect(steps(dir)).toEqual(["step-2", "step-3"]);
  });

  test.each([
    ["a changed byte", (dir: string) => writeFileSync(join(dir, "weights.bin"), "weights 3"), /weights\.bin does not have the SHA-256/],
    ["a short file", (dir: string) => truncateSync(join(dir, "weights.bin"), 4), /weights\.bin has 4 bytes instead of 9/],
    ["a missing file", (dir: string) => rmSync(join(dir, "weights.bin")), /weights\.bin is missing/],
    ["no manifest", (dir: string) => rmSync(join(dir, "manifest.json")), /manifest\.json cannot be read/],
    ["a torn manifest", (dir: string) => truncateSync(join(dir, "manifest.json"), 20), /manifest\.json cannot be read/],
    ["a changed state", (dir: string) => appendFileSync(join(dir, "state.json"), " "), /state\.json has/],
    ["a foreign manifest", (dir: string) => writeFileSync(join(dir, "manifest.json"), "{}"), /not one of this program/],
  ])("%s: the newest is reported, the one before is used", async (_, harm, message) => {
    const root = newRoot();
    const dir = await runWith(root, [1, 2]);
    harm(join(dir, "checkpoints", "step-2"));
    const run = await open(root, { resume: true });
    expect(run.latestCheckpoint()!.step).toBe(1);
    expect(run.notes).toHaveLength(1);
    expect(run.notes[0]).toMatch(message);
    expect(run.notes[0]).toMatch(/Going back to step 1\.$/);
    // The step is done again and takes the broken one's place.
    run.metrics.append({ iteration: 2 });
    await run.saveCheckpoint(2, (folder) => writeFile(join(folder, "weights.bin"), "weights 2"), { step: 2 });
    run.close();
    const again = await open(root, { resume: true });
    expect(again.latestCheckpoint()!.step).toBe(2);
    expect(again.notes).toEqual([]);
    again.close();
  });

  test("records shorter than the checkpoint covers make it unusable", async () => {
    const root = newRoot();
    const dir = await runWith(root, [1, 2]);
    truncateSync(join(dir, "metrics.jsonl"), 20);
    const run = await open(root, { resume: true });
    expect(run.latestCheckpoint()!.step).toBe(1);
    expect(run.notes[0]).toMatch(/metrics\.jsonl holds 20 bytes but its checkpoint covers 32/);
    run.close();
  });

  test("when all are broken the run is refused, never begun again silently", async () => {
    const root = newRoot();
    const dir = await runWith(root, [1, 2]);
    for (const step of steps(dir)) rmSync(join(dir, "checkpoints", step, "weights.bin"));
    await expect(open(root, { resume: true })).rejects.toMatchObject({
      code: "CHECKPOINT_BROKEN",
      message: expect.stringMatching(/step-2[\s\S]*step-1/),
    });
    expect(read(dir, "metrics.jsonl")).toBe('{"iteration":1}\n{"iteration":2}\n');
  });

  test("a writer that fails leaves the previous checkpoint and nothing else", async () => {
    const root = newRoot();
    const run = await open(root);
    await run.saveCheckpoint(1, (dir) => writeFile(join(dir, "w"), "1"), null);
    const failing = run.saveCheckpoint(
      2,
      async (dir) => {
        await writeFile(join(dir, "w"), "2");
        throw new Error("the engine said no");
      },
      null,
    );
    await expect(failing).rejects.toThrow("the engine said no");
    expect(run.latestCheckpoint()!.step).toBe(1);
    expect(steps(run.dir)).toEqual(["step-1"]);
    run.close();
  });

  test("final/ is replaced whole and marks the run as finished, until it goes on", async () => {
    const run = await open(newRoot());
    await run.saveFinal((dir) => writeFile(join(dir, "old"), "1"));
    await run.saveFinal((dir) => writeFile(join(dir, "new"), "2"));
    expect(readdirSync(join(run.dir, "final"))).toEqual(["new"]);
    expect(run.finished).toBe(true);
    await run.saveCheckpoint(5, async () => {}, null);
    expect(run.finished).toBe(false);
    run.close();
  });
});

describe("one process at a time", () => {
  test("a second opener is refused while the first holds the run, and welcome after", async () => {
    const root = newRoot();
    const run = await open(root);
    await expect(open(root, { resume: true })).rejects.toMatchObject({
      code: "RUN_LOCKED",
      message: expect.stringContaining(`process ${process.pid}`),
    });
    run.close();
    (await open(root, { resume: true })).close();
  });

  test.each([
    ["a process that is gone", (lock: Record<string, unknown>) => ({ ...lock, pid: 2 ** 22 + 1 })],
    ["a process number that was given to another", (lock: Record<string, unknown>) => ({ ...lock, identity: "another boot/1" })],
  ])("the lock of %s is taken over", async (_, change) => {
    const root = newRoot();
    const first = await open(root);
    const lock = join(first.dir, "lock");
    const text = read(lock);
    first.close();
    writeFileSync(lock, JSON.stringify(change(JSON.parse(text) as Record<string, unknown>)));
    (await open(root, { resume: true })).close();
    expect(existsSync(lock)).toBe(false);
  });

  test("a torn lock is taken over; one of another machine is not judged", async () => {
    const root = newRoot();
    const dir = await runWith(root, []);
    writeFileSync(join(dir, "lock"), '{"pid":');
    (await open(root, { resume: true })).close();
    writeFileSync(join(dir, "lock"), JSON.stringify({ pid: 1, host: "elsewhere.example", identity: null, since: "today" }));
    await expect(open(root, { resume: true })).rejects.toMatchObject({
      code: "RUN_LOCKED",
      message: expect.stringContaining("elsewhere.example"),
    });
  });
});

describe.skipIf(process.platform !== "linux")("disks that refuse", () => {
  test("a full disk under a record file: a clear error", async () => {
    const root = newRoot();
    const dir = await runWith(root, []);
    rmSync(join(dir, "skills.jsonl"));
    symlinkSync("/dev/full", join(dir, "skills.jsonl"));
    const run = await open(root, { resume: true });
    expect(() => run.skills.append({ a: 1 })).toThrow(expect.objectContaining({ code: "RUN_DISK_FULL" }));
    run.close();
  });

  test("a full disk while a checkpoint is written: the one before stays, nothing is left over", async () => {
    const root = newRoot();
    const run = await open(root);
    await run.saveCheckpoint(1, (dir) => writeFile(join(dir, "w"), "1"), null);
    const failing = run.saveCheckpoint(
      2,
      async (dir) => {
        await symlink("/dev/full", join(dir, "w"));
        await writeFile(join(dir, "w"), "2");
      },
      null,
    );
    await expect(failing).rejects.toMatchObject({
      code: "RUN_DISK_FULL",
      message: expect.stringMatching(/checkpoint step-2 .*disk is full.*--resume/),
    });
    expect(steps(run.dir)).toEqual(["step-1"]);
    expect(run.latestCheckpoint()!.step).toBe(1);
    run.close();
  });

  test.each([
    [
      "told in the engine's words",
      new SiriError("SIRI_FILE", "cannot write w: No space left on device", {
        cause: Object.assign(new Error("x"), { code: "SIRI_FILE" }),
      }),
      "RUN_DISK_FULL",
    ],
    [
      "told by its cause",
      new SiriError("SIRI_FILE", "cannot write w", { cause: Object.assign(new Error("x"), { code: "EROFS" }) }),
      "RUN_NOT_WRITABLE",
    ],
    ["a broken file", new SiriError("SIRI_FILE", "w: truncated"), "SIRI_FILE"],
  ])("a refusal that the engine met while it saved a policy, %s", async (_, error, code) => {
    const run = await open(newRoot());
    onTestFinished(() => run.close());
    await expect(run.saveCheckpoint(1, () => Promise.reject(error), {})).rejects.toMatchObject({ code });
  });

  test("a disk of 256 kB fills up: clear errors, then the run goes on where there is room", async ({ skip }) => {
    const disk = mountSmallDisk();
    if (disk === null) return skip("this user may not mount a tmpfs");
    onTestFinished(() => void execFileSync("umount", [disk]));
    const run = await open(disk);
    const big = (dir: string) => writeFile(join(dir, "weights.bin"), new Uint8Array(100_000));
    await run.saveCheckpoint(1, big, null);
    await run.saveCheckpoint(2, big, null).catch(() => undefined);
    const kept = run.latestCheckpoint()!.step;
    await expect(run.saveCheckpoint(3, (dir) => writeFile(join(dir, "weights.bin"), new Uint8Array(300_000)), null)).rejects.toMatchObject({
      code: "RUN_DISK_FULL",
    });
    const fill = () => {
      for (let line = 0; line < 10_000; line++) run.metrics.append({ line, text: "x".repeat(1000) });
    };
    expect(fill).toThrow(expect.objectContaining({ code: "RUN_DISK_FULL" }));
    const whole = read(run.dir, "metrics.jsonl");
    expect(whole.endsWith("\n")).toBe(true);
    run.close();
    const again = await open(disk, { resume: true });
    expect(again.latestCheckpoint()!.step).toBe(kept);
    again.metrics.append({ iteration: kept + 1 });
    again.close();
    execFileSync("mount", ["-o", "remount,ro", disk]);
    await expect(open(disk, { resume: true })).rejects.toMatchObject({
      code: "RUN_NOT_WRITABLE",
      message: expect.stringContaining("read-only"),
    });
    await expect(open(disk, { name: "other" })).rejects.toMatchObject({
      code: "RUN_NOT_WRITABLE",
      message: expect.stringContaining("run.root"),
    });
  });

  test("a root that is a file", async () => {
    const root = join(newRoot(), "file");
    writeFileSync(root, "");
    await expect(open(root)).rejects.toThrow(/Cannot use the run folder/);
  });
});

/** A tmpfs of 256 kB where this user may mount one; null elsewhere (then the test is skipped). */
function mountSmallDisk(): string | null {
  const folder = newRoot();
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], { stdio: "ignore" });
    return folder;
  } catch {
    return null;
  }
}

test("killed again and again at any instant, a resumed run leaves the files of one that was never killed", async () => {
  const ITERATIONS = 24;
  const start = (root: string) =>
    spawn(process.execPath, ["--import", "tsx", "test/fixtures/crash-run.ts", root, String(ITERATIONS)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
  const whole = newRoot();
  const killed = newRoot();
  await new Promise((done) => start(whole).on("exit", done));

  let random = 12345;
  let kills = 0;
  for (let attempt = 0; attempt < 40; attempt++) {
    random = (random * 48271) % 2147483647;
    const child = start(killed);
    // After some lines and up to 4 ms more: inside an append, a write, a hash, a sync, a rename.
    let lines = 1 + (random % 4);
    const delay = (random >> 4) % 5;
    child.stdout.on("data", (data: Buffer) => {
      lines -= data.toString().split("\n").length - 1;
      if (lines <= 0) setTimeout(() => child.kill("SIGKILL"), delay);
    });
    const code = await new Promise<number | null>((done) => child.on("exit", done));
    if (code === 0) break;
    kills++;
    expect(code).toBeNull();
  }
  expect(kills).toBeGreaterThan(3);
  const finished = start(killed);
  expect(await new Promise((done) => finished.on("exit", done))).toBe(0);

  const names = (root: string) =>
    readdirSync(join(root, "r"), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(root.length))
      .sort();
  expect(names(killed)).toEqual(names(whole));
  for (const name of names(whole)) expect(read(killed, name), name).toBe(read(whole, name));
});
