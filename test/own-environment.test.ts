/** The example of examples/own-environment: short, and trained by the real engine from the shipped policy. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { loadConfig } from "../src/config/load.js";
import { loadEnvironment } from "../src/env/registry.js";
import { Policy } from "../src/policy/policy.js";
import { RunDirectory } from "../src/run/run-directory.js";
import { train } from "../src/siri/trainer.js";

const folder = fileURLToPath(new URL("../examples/own-environment/", import.meta.url));

it("is at most 40 lines and an environment by the rules", async () => {
  const path = join(folder, "lost-things.mjs");
  expect((await readFile(path, "utf8")).trim().split("\n").length).toBeLessThanOrEqual(40);
  const module = await loadEnvironment({ name: path });
  const environment = await module.create();
  const task = (await module.tasks("test")).at(3);
  expect(await environment.reset(task)).toEqual(await environment.reset(task));
  expect(await environment.step("go to drawer 2")).toMatchObject({ reward: 10, done: true, success: true });
});

it("trains from the shipped policy", async () => {
  const root = await mkdtemp(join(tmpdir(), "siri-own-"));
  const config = loadConfig({
    file: join(folder, "lost-things.yaml"),
    set: ["iterations=2", "rollout.groups=3", "update.miniBatchRows=16", "evaluation.tasks=6", `run.root=${JSON.stringify(root)}`],
  });
  const run = await RunDirectory.open({ root, name: config.run.name, config, resume: false });
  try {
    const summary = await train({ config, run });
    expect(summary).toMatchObject({ finished: true, iteration: 2 });
    const lines = (await readFile(join(run.dir, "metrics.jsonl"), "utf8")).trim().split("\n");
    const metrics = lines.map((line) => JSON.parse(line) as Record<string, number>);
    expect(metrics.map(({ iteration }) => iteration)).toEqual([0, 1, 2]);
    expect(metrics[0]!["eval/plain/tasks"]).toBe(6);
    expect(metrics[1]!["update/grad_norm"]).toBeGreaterThan(0);
    const [base, final] = await Promise.all([Policy.load(config.model.path), Policy.load(join(run.dir, "final"))]);
    const name = final.tensorNames()[0]!;
    expect(await final.readTensor(name)).not.toEqual(await base.readTensor(name));
    await Promise.all([base.close(), final.close()]);
  } finally {
    run.close();
    await rm(root, { recursive: true, force: true });
  }
});
