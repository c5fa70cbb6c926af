import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Task } from "../environment.js";
import { parseGame } from "../textworld/index.js";
import household, { gameOf, TASK_TYPES, WIN_REWARD } from "./index.js";
import { writeGame } from "./write-game.js";

const { splits, evalSplits, tasks, create } = household({ train: 600, seen: 60, unseen: 60 });

async function all(split: string): Promise<Task[]> {
  const set = await tasks(split);
  return Array.from({ length: set.length }, (_, i) => set.at(i));
}

test("splits: their lengths, types in rotation, tasks that survive JSON", async () => {
  expect(splits).toEqual(["train", "seen", "unseen"]);
  expect(evalSplits).toEqual(["unseen", "seen"]);
  const defaults = household();
  expect(await Promise.all(splits.map(async (split) => (await defaults.tasks(split)).length))).toEqual([20_000, 240, 240]);
  const train = await all("train");
  expect(train[17]!.id).toBe("train/000017");
  expect(train.slice(0, 12).map((task) => task.type)).toEqual([...TASK_TYPES, ...TASK_TYPES]);
  for (const task of train) {
    expect(JSON.parse(JSON.stringify(task))).toEqual(task);
    expect(gameOf(task).meta.type).toBe(task.type);
  }
});

test("splits share no seed and no game; unseen shares no (object, target) pair with the others", async () => {
  const seeds = new Set<number>();
  const games = new Set<string>();
  const pairs = new Map<string, Set<string>>();
  let count = 0;
  for (const split of splits) {
    const seen = new Set<string>();
    for (const task of await all(split)) {
      const { file, meta } = gameOf(task);
      count++;
      seeds.add(meta.seed);
      games.add(file.pddl_problem.replace(/^.*\n/, ""));
      seen.add(`${meta.object} ${meta.target}`);
    }
    pairs.set(split, seen);
  }
  expect(seeds.size).toBe(count);
  expect(games.size).toBe(count);
  for (const pair of pairs.get("unseen")!) {
    expect(pairs.get("train")!.has(pair)).toBe(false);
    expect(pairs.get("seen")!.has(pair)).toBe(false);
  }
});

test("an episode: observations, rewards, the win, the same task again", async () => {
  const set = await tasks("seen");
  const environment = await create();
  for (let i = 0; i < 12; i++) {
    const task = set.at(i);
    const { file, meta } = gameOf(task);
    const first = await environment.reset(task);
    expect(first.text).toContain(`Your task is to: ${meta.sentence}.`);
    expect([first.task, first.anchor]).toEqual([meta.sentence, first.text]);
    const failed = await environment.step("go to nowhere 1");
    expect([failed.text, failed.reward, failed.done, failed.actions]).toEqual(["Nothing happens.", 0, false, first.actions]);
    const { walkthrough } = file;
    for (const [k, command] of walkthrough!.entries()) {
      const last = k === walkthrough!.length - 1;
      const result = await environment.step(command);
      expect([result.reward, result.done, result.success, result.task]).toEqual([last ? WIN_REWARD : 0, last, last, meta.sentence]);
      expect(result.anchor).toBe(result.text);
    }
    expect(await environment.reset(task)).toEqual(first);
  }
});

test("two environments of one module do not disturb each other", async () => {
  const task = (await tasks("train")).at(2);
  const [a, b] = [await create(), await create()];
  const first = await a.reset(task);
  await b.reset(task);
  for (const command of gameOf(task).file.walkthrough!) await a.step(command);
  expect(await b.step("look")).toMatchObject({ reward: 0, done: false, actions: first.actions });
});

test("sizes reach the worlds", async () => {
  const count = async (size: "small" | "large"): Promise<number> => {
    const module = household({ size });
    const first = await (await module.create()).reset((await module.tasks("train")).at(3));
    return first.actions!.filter((action) => action.startsWith("go to ")).length;
  };
  expect(await count("small")).toBeLessThanOrEqual(14);
  expect(await count("large")).toBeGreaterThanOrEqual(20);
});

test("a written game is the game", async () => {
  const dir = mkdtempSync(join(tmpdir(), "household-"));
  try {
    const task = (await tasks("unseen")).at(4);
    const path = writeGame(dir, task);
    expect(path).toBe(join(dir, "unseen/000004.tw-pddl"));
    const game = parseGame(readFileSync(path, "utf8"), path);
    expect(game.solvable).toBe(true);
    expect(game.walkthrough).toEqual(gameOf(task).file.walkthrough);
    expect(game.start().observation).toBe((await (await create()).reset(task)).text);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test("misuse is refused with the name, the value and the fix", async () => {
  expect(() => household({ size: "huge" as "large" })).toThrow(/"huge"; use one of small, medium, large/);
  expect(() => household({ sise: "small" } as object)).toThrow(/"sise"; it has size, train, seen, unseen/);
  expect(() => household({ train: 0 })).toThrow(/train is 0/);
  expect(() => household({ unseen: 1.5 })).toThrow(/unseen is 1.5/);
  expect(() => tasks("valid")).toThrow(/"valid"; use one of train, seen, unseen/);
  const seen = await tasks("seen");
  for (const index of [-1, 60, 0.5]) expect(() => seen.at(index)).toThrow(/it has 60/);
  const environment = await create();
  expect(() => environment.step("look")).toThrow(/before reset/);
  expect(() => environment.reset({ id: "x", split: "train", type: "task" })).toThrow(/no seed/);
});
