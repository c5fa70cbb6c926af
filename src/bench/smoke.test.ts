/** The benchmarks that need no peer, in their smallest form: each measures something, and the history holds what was measured. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { benchCheck, type Checked, recordBaseline } from "./check.js";
import { benchEngine } from "./engine.js";
import { benchEnvironments } from "./environments.js";
import { appendHistory } from "./history.js";
import { KERNEL_SHAPES, kernelName } from "./kernels.js";
import { type Measurement, markdownTable, textTable } from "./report.js";
import { bytes, flops, workload } from "./workload.js";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "siri-bench-test-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const positive = (m: Measurement) => m.values.length > 0 && m.values.every((value) => value > 0 && Number.isFinite(value));

test("every kernel of the list runs and counts its work", () => {
  for (const shape of KERNEL_SHAPES) {
    const small = { ...shape, rows: Math.min(shape.rows ?? 0, 64) };
    const { wall, cpu } = workload({ ...small, threads: 1 })(1);
    expect(wall, kernelName(shape)).toBeGreaterThan(0);
    expect(cpu, kernelName(shape)).toBeGreaterThan(0);
    expect(flops({ ...shape, threads: 1 }) + bytes({ ...shape, threads: 1 }), kernelName(shape)).toBeGreaterThan(0);
  }
});

test("engine and environments yield measurements, tables and lines of history", async () => {
  const found = [
    ...(await benchEngine({ threads: 1, rows: 2, repetitions: 1, kvCacheMiB: 32 })),
    ...(await benchEnvironments({ episodes: 1, repetitions: 1 })),
  ];
  expect(found.filter((m) => !positive(m))).toEqual([]);
  expect(new Set(found.map(({ name }) => name)).size).toBe(found.length);
  for (const { name } of found) {
    expect(textTable(found)).toContain(name);
    expect(markdownTable(found)).toContain(`| ${name} |`);
  }
  const path = join(folder, "history.jsonl");
  await writeFile(path, '{"name":"before"}\n');
  await appendHistory(found, 1, path);
  const lines = (await readFile(path, "utf8"))
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(lines.map(({ name }) => name)).toEqual(["before", ...found.map(({ name }) => name)]);
  expect(lines[1]).toMatchObject({ threads: 1, unit: "tokens/s", count: 1 });
});

test("check tells what is slower, what has no baseline and what is not measured", async () => {
  const baseline = join(folder, "baseline.json");
  const options = { only: "linear 1x1024x256", baseline };
  const check = async () => {
    const found: Checked[] = [];
    const good = await benchCheck(options, (item) => found.push(item));
    return { good, outcomes: Object.fromEntries(found.map(({ name, outcome }) => [name, outcome])) };
  };
  const [float, bfloat] = ["linear 1x1024x256 float32", "linear 1x1024x256 bfloat16"] as const;
  expect(await check()).toEqual({ good: true, outcomes: { [float]: "new", [bfloat]: "new" } });

  await recordBaseline({ ...options, only: float }, () => {});
  const all = JSON.parse(await readFile(baseline, "utf8")) as Record<string, Record<string, { ratio: number; noise: number }>>;
  const [processor] = Object.keys(all);
  const { ratio } = all[processor!]![float]!;
  const write = (items: object) => writeFile(baseline, JSON.stringify({ [processor!]: items }));
  await write({ [float]: { ratio: ratio / 2, noise: 0.01 }, [bfloat]: { ratio: 100 * ratio, noise: 0.01 } });
  expect(await check()).toEqual({ good: false, outcomes: { [float]: "ok", [bfloat]: "slower" } });
  await write({ [float]: { ratio: ratio / 2, noise: 0.01 }, "linear 1x1024x256 float8": { ratio: 1, noise: 0.01 } });
  expect(await check()).toEqual({ good: true, outcomes: { [float]: "ok", [bfloat]: "new", "linear 1x1024x256 float8": "absent" } });
});
