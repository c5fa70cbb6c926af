/** Rollouts and evaluation on ALFWorld: every game of a split exactly once, by type; members of a group begin alike. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import alfworld, { ALFWORLD_TASK_TYPES, type AlfworldModule } from "../src/env/alfworld/index.js";
import { findRelease } from "../src/env/alfworld/release.js";
import { evaluate } from "../src/rl/evaluate.js";
import { type RolloutSettings, rollout } from "../src/rl/rollout.js";
import { seedFor } from "../src/rl/seeds.js";
import { testGame } from "./games/load.js";
import { FakePolicy, fakeParts } from "./support/fakes.js";

const root = mkdtempSync(join(tmpdir(), "siri-alfworld-split-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
for (const [i, type] of ALFWORLD_TASK_TYPES.entries()) {
  for (let trial = 0; trial <= i; trial++) {
    const folder = join(root, "valid_seen", `${type}-Mug-None-Shelf-${i}`, `trial_T${trial}`);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "game.tw-pddl"), JSON.stringify(testGame("kitchen")));
  }
}

const data = process.env.ALFWORLD_DATA;
if (!data) console.warn("skipped: the released games of valid_seen; set ALFWORLD_DATA to the folder that holds json_2.1.1/");

const settings: RolloutSettings = {
  maxSteps: 2,
  historyLength: 2,
  maxPromptTokens: 20_000,
  maxResponseTokens: 80,
  temperature: 1,
  concurrency: 0,
  environmentTimeout: 0,
  retries: 0,
  seed: (plan, step) => seedFor("rollout", 0, plan.iteration, plan.group, plan.member, step),
  keepPlainPrompts: false,
  includeTags: false,
};

async function playSplit(module: AlfworldModule) {
  const tasks = module.tasks("valid_seen");
  const result = await evaluate(fakeParts(new FakePolicy(), module), tasks, {
    split: "valid_seen",
    mode: "plain",
    tasks: 0,
    temperature: 1,
    rollout: settings,
  });
  const ids = Array.from({ length: tasks.length }, (_, i) => tasks.at(i).id);
  expect(new Set(ids).size).toBe(tasks.length);
  expect(result.games.map(({ id }) => id)).toEqual(ids);
  expect(result.games.every(({ steps }) => steps === 2)).toBe(true);
  return Object.fromEntries(Object.entries(result.byType).map(([type, { n }]) => [type, n]));
}

describe("evaluation", () => {
  it("plays each game of a split exactly once, and counts them by type", async () => {
    expect(await playSplit(alfworld({ data: root }))).toEqual(Object.fromEntries(ALFWORLD_TASK_TYPES.map((type, i) => [type, i + 1])));
  });

  it.skipIf(!data)("plays the released games of valid_seen exactly once", async () => {
    const counts = Object.fromEntries(ALFWORLD_TASK_TYPES.map((type) => [type, 0]));
    const split = join(findRelease(data), "valid_seen");
    for (const file of readdirSync(split, { recursive: true, encoding: "utf8" })) {
      const type = ALFWORLD_TASK_TYPES.find((name) => file.startsWith(`${name}-`));
      if (type === undefined || !file.endsWith("game.tw-pddl") || /movable|Sliced/.test(file)) continue;
      if ((JSON.parse(readFileSync(join(split, file), "utf8")) as { solvable?: unknown }).solvable === true) counts[type]! += 1;
    }
    expect(await playSplit(alfworld())).toEqual(counts);
  });
});

describe("a group", () => {
  it("begins with one observation, and differs only by what its members do", async () => {
    const module = alfworld({ data: root });
    const tasks = module.tasks("valid_seen");
    const plans = Array.from({ length: 24 }, (_, i) => ({
      iteration: 0,
      group: Math.floor(i / 8),
      member: i % 8,
      task: tasks.at(Math.floor(i / 8) * 7),
      skills: [],
    }));
    const trajectories = await rollout(fakeParts(new FakePolicy(), module), plans, settings);
    for (const { steps } of trajectories) {
      expect(steps[0]!.observation).toEqual(trajectories[0]!.steps[0]!.observation);
      for (const { observation } of steps) {
        expect(observation.anchor).toBe(observation.text);
        expect(observation.actions).not.toContain("help");
      }
    }
  });
});
