/** Which configuration an evaluation is played with. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { loadConfig } from "../config/load.js";
import { evalConfig } from "./eval.js";
import { packageFile } from "./package.js";

const root = mkdtempSync(join(tmpdir(), "siri-eval-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const household = loadConfig({ file: packageFile("configs/household-tiny.yaml") });
const alfworld = loadConfig({ file: packageFile("configs/alfworld-tiny.yaml") });

/** A run's folder with a policy in it. */
function run(): string {
  const folder = join(root, "run");
  mkdirSync(join(folder, "checkpoints"), { recursive: true });
  mkdirSync(join(folder, "final"), { recursive: true });
  writeFileSync(
    join(folder, "config.yaml"),
    "environment: { name: household, options: { size: large } }\nmodel: { path: final }\nagent: { template: verl, historyLength: 5, maxSteps: 7 }\nevaluation: { split: seen }\n",
  );
  return join(folder, "final");
}

describe("the configuration of an evaluation", () => {
  it("is the default run's, with what the command line says", () => {
    expect(evalConfig({ set: [] })).toEqual(household);
    expect(evalConfig({ set: ["agent.maxSteps=3"], split: "seen", temperature: 0, tasks: 5 })).toMatchObject({
      agent: { maxSteps: 3 },
      evaluation: { split: "seen", temperature: 0, tasks: 5 },
    });
  });

  it("takes lengths from the environment's own run file, and a policy that is there", () => {
    const config = evalConfig({ set: [], env: "alfworld", data: "games" });
    expect(config.environment).toMatchObject({ name: "alfworld", options: { data: resolve("games") } });
    expect(config.evaluation.split).toBe("valid_seen");
    expect(config.agent).toEqual(alfworld.agent);
    expect([household.model.path, alfworld.model.path]).toContain(config.model.path);
  });

  it("keeps how a run's policy reads when it plays somewhere else", () => {
    const policy = run();
    expect(evalConfig({ set: [], policy })).toMatchObject({ agent: { template: "verl", maxSteps: 7 }, evaluation: { split: "seen" } });
    const elsewhere = evalConfig({ set: [], policy, env: "alfworld" });
    expect(elsewhere).toMatchObject({
      environment: { name: "alfworld", options: {} },
      model: { path: policy },
      agent: { template: "verl", historyLength: 5, maxSteps: alfworld.agent.maxSteps },
      evaluation: { split: "valid_seen" },
    });
    expect(evalConfig({ set: ["agent.template=compact"], policy, env: "alfworld" }).agent.template).toBe("compact");
  });

  it("drops options and split of another environment that has no run file", () => {
    const own = join(root, "own.js");
    const config = evalConfig({ set: [], policy: run(), env: own, data: root });
    expect(config.environment).toMatchObject({ name: own, options: { data: root } });
    expect(config.evaluation.split).toBe(null);
  });
});
