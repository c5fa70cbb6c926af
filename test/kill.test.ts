/** Promise: a run that is killed at any instant and resumed leaves the same bytes as one that was not. Real engine, real processes. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));
let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "siri-kill-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** All three phases in five small iterations. */
const SMALL = [
  "iterations=5",
  "agent.maxSteps=6",
  "rollout.groups=6",
  "rollout.groupSize=4",
  "update.miniBatchRows=64",
  "warmup.successes=1",
  "warmup.maxIterations=2",
  "mining.minActive=1",
  "mining.minIterations=1",
  "mining.maxIterations=1",
  "bank.minEvaluations=1",
  "bank.promoteAbove=-1",
  "internalise.gateUtility=false",
  "internalise.rampIterations=0",
  "evaluation.tasks=6",
];

function start(name: string): ChildProcess {
  const set = [...SMALL, `run.root=${JSON.stringify(root)}`, `run.name=${name}`];
  const child = at("./support/train-child.ts");
  return spawn(process.execPath, ["--import", "tsx", child, at("../configs/household-tiny.yaml"), ...set], {
    cwd: at(".."),
    stdio: ["ignore", "ignore", "pipe"],
  });
}

/** Waits for the end of a process; kills it a moment after its run has `lines` lines of metrics. */
async function play(name: string, lines = Number.POSITIVE_INFINITY, delay = 0): Promise<{ killed: boolean; errors: string }> {
  const child = start(name);
  let errors = "";
  child.stderr!.on("data", (text) => {
    errors += text;
  });
  const file = join(root, name, "metrics.jsonl");
  let killed = false;
  const watch = setInterval(() => {
    if (killed || !existsSync(file) || readFileSync(file, "utf8").split("\n").length - 1 < lines) return;
    killed = true;
    setTimeout(() => child.kill("SIGKILL"), delay);
  }, 5);
  const code = await new Promise<number | null>((resolve) => child.on("exit", resolve));
  clearInterval(watch);
  if (code !== 0 && code !== null) throw new Error(errors);
  return { killed: code === null, errors };
}

/** Every file that a clock does not decide, as base64. */
async function leftBy(name: string): Promise<Record<string, string>> {
  const dir = join(root, name);
  const found: Record<string, string> = {};
  for (const entry of await readdir(dir, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name).slice(dir.length + 1);
    if (!entry.isFile() || path === "timings.jsonl" || path === "config.yaml" || path.startsWith("checkpoints")) continue;
    found[path] = (await readFile(join(dir, path))).toString("base64");
  }
  return found;
}

it("leaves the same bytes", async () => {
  await play("whole");
  let deaths = 0;
  // During the first iteration, the second's evaluation or checkpoint, an update of the fourth.
  for (const [lines, delay] of [
    [1, 60],
    [2, 0],
    [3, 10],
    [4, 150],
  ] as const) {
    if ((await play("killed", lines, delay)).killed) deaths++;
  }
  await play("killed");
  expect(deaths).toBeGreaterThanOrEqual(3);
  const [expected, found] = [await leftBy("whole"), await leftBy("killed")];
  expect(Object.keys(found)).toEqual(Object.keys(expected));
  for (const path of Object.keys(expected)) expect(found[path] === expected[path], path).toBe(true);
  expect(Object.keys(expected)).toContain("final/model.safetensors");
  const phases = Buffer.from(expected["metrics.jsonl"]!, "base64")
    .toString()
    .match(/"phase":"\w+"/g)!;
  expect(new Set(phases).size).toBe(3);
});
