import { describe, expect, it } from "vitest";
import { sourceOf } from "../../../test/webshop/source.js";
import { CATALOGUE, PRODUCTS, product } from "../../../test/webshop/tiny.js";
import type { EnvironmentModule, StepResult, TaskSet } from "../environment.js";
import { SEARCH_FORM } from "./actions.js";
import { type ShopSettings, shopModule, WIN_REWARD } from "./module.js";
import { nounsOf } from "./nouns.js";
import { productPart } from "./splits.js";
import type { Catalogue } from "./types.js";
import type { Stock } from "./world.js";

/** A shop in which every product can be asked for; titles are their own nouns. */
function stockOf(catalogue: Catalogue): Stock {
  const products = Array.from({ length: catalogue.length }, (_, i) => catalogue.product(i));
  const instruction = { text: "Find me a thing", attributes: ["fine"] };
  const humanInstructions = [{ text: "i want a thing.", attributes: ["fine"], options: [] }];
  return { ...sourceOf(products.map((item) => ({ product: item, instruction, humanInstructions }))), ...catalogue };
}

const nouns = nounsOf(new Map(PRODUCTS.map(({ title }) => [title, ["thing", title]])));
const shop = (settings: ShopSettings = {}, stock = stockOf(CATALOGUE)): EnvironmentModule =>
  shopModule("shop", settings, () => ({ stock, nouns }));

const large: Catalogue = {
  ...CATALOGUE,
  length: 700,
  product: (index) => product(`B${String(index).padStart(9, "0")}`, { category: ["garden", "beauty"][index % 2]! }),
};

const tasksOf = async (module: EnvironmentModule, split: string): Promise<TaskSet> => module.tasks(split);
const all = async (module: EnvironmentModule, split: string) => {
  const tasks = await tasksOf(module, split);
  return Array.from({ length: tasks.length }, (_, i) => tasks.at(i));
};

describe("splits", () => {
  it("by product never share one", async () => {
    const module = shop({}, stockOf(large));
    expect(module.splits).toEqual(["train", "valid", "test"]);
    expect(module.evalSplits).toEqual(["valid", "test"]);
    const environment = await module.create();
    let count = 0;
    for (const split of module.splits) {
      for (const task of await all(module, split)) {
        await environment.reset(task);
        const bought = await environment.step("search[chair]");
        expect(bought.task).toMatch(/^Find me a thing/);
        count++;
      }
    }
    expect(count).toBe(700);
    const parts = new Map(Array.from({ length: 700 }, (_, i) => [large.product(i).asin, productPart(large.product(i).asin)]));
    for (const split of module.splits)
      expect((await tasksOf(module, split)).length).toBe([...parts.values()].filter((part) => part === split).length);
  });

  it("by place are the literature's", async () => {
    const lengths = async (module: EnvironmentModule) =>
      Promise.all(module.splits.map(async (split) => [split, (await tasksOf(module, split)).length]));
    const verl = shop({ split: "verl" }, stockOf(large));
    expect(Object.fromEntries(await lengths(verl))).toEqual({ train: 200, valid: 500 });
    expect(verl.evalSplits).toEqual(["valid"]);
    const paper = shop({ split: "paper" }, stockOf(large));
    expect(paper.evalSplits).toEqual(expect.arrayContaining(["valid", "test"]));
    expect((await tasksOf(paper, "test")).length).toBe(500);
    expect((await tasksOf(paper, "valid")).length).toBe(200);
    await expect(tasksOf(paper, "train")).rejects.toThrowError(expect.objectContaining({ code: "ENVIRONMENT_DATA" }));
  });

  it("number their tasks; a seed gives the same ones again", async () => {
    const one = await all(shop({ split: "verl" }, stockOf(large)), "train");
    expect(one[7]).toEqual({ id: "train/000007", split: "train", type: expect.stringMatching(/^(garden|beauty)$/), data: { goal: 507 } });
    expect(await all(shop({ split: "verl" }, stockOf(large)), "train")).toEqual(one);
    expect(await all(shop({ split: "verl", seed: 3 }, stockOf(large)), "train")).not.toEqual(one);
    expect(await all(shop({ split: "verl", seed: 3 }, stockOf(large)), "train")).toEqual(
      await all(shop({ split: "verl", seed: 3, shuffleSeed: 3 }, stockOf(large)), "train"),
    );
    expect((await all(shop({ goals: "human" }, stockOf(large)), "train")).length).toBeGreaterThan(400);
  });
});

describe("an environment", () => {
  it("shows pages, what can be done, and what steps are grouped by", async () => {
    const module = shop();
    const [a, b] = [await module.create(), await module.create()];
    const task = (await tasksOf(module, "train")).at(0);
    const first = await a.reset(task);
    expect(first.text).toBe(`WebShop [SEP] Instruction: [SEP] ${first.task} [SEP] Search`);
    expect(first).toMatchObject({ actions: [SEARCH_FORM, "click[search]"], anchor: "'Search'" });
    expect(await b.reset(task)).toEqual(first);
    const results = await a.step("search[chair]");
    expect(results.actions!.slice(0, 3)).toEqual(["click[back to search]", "click[next >]", "click[b000000000]"]);
    expect(results.anchor).toMatch(
      /^'Back to Search' \[SEP\] 'Page 1 \(Total results: 12\)' \[SEP\] 'Next >' \[SEP\] 'B000000000' \[SEP\] 'chair 0'/,
    );
    expect(results).toMatchObject({ reward: 0, done: false, success: false, score: 0 });
    expect(await a.step("nothing of the kind")).toEqual(results);
  });

  it("groups by the same pages in every mode, and with history", async () => {
    const anchors = async (settings: ShopSettings) => {
      const module = shop(settings);
      const environment = await module.create();
      const seen = [(await environment.reset((await tasksOf(module, "train")).at(0))).anchor];
      for (const action of ["search[shirt]", "click[b000shirt0]", "click[red]", "click[buy now]"])
        seen.push((await environment.step(action)).anchor);
      return seen;
    };
    const plain = await anchors({});
    expect(plain[3]).toBe(plain[2]);
    for (const settings of [{ mode: "text_rich" }, { mode: "html" }, { mode: "url" }, { prevObs: 2, prevActions: 1 }] as const) {
      expect(await anchors(settings)).toEqual(plain);
    }
  });

  it("pays for the perfect purchase only, and tells the score of every one", async () => {
    const module = shop();
    const environment = await module.create();
    const tasks = await all(module, "train");
    const outcomes = new Set<string>();
    for (const task of tasks) {
      const { task: sentence } = await environment.reset(task);
      for (const { asin, options } of PRODUCTS) {
        await environment.reset(task);
        await environment.step(`search[${asin.toLowerCase()}]`);
        await environment.step(`click[${asin.toLowerCase()}]`);
        for (const values of options.values()) await environment.step(`click[${values.at(-1)}]`);
        const last: StepResult = await environment.step("click[buy now]");
        expect(last.done).toBe(true);
        expect(last.score).toBeGreaterThan(0);
        expect(last.success).toBe(last.score === 1);
        expect(last.reward).toBe(last.score === 1 ? WIN_REWARD : 0);
        expect(last.task).toBe(sentence);
        expect(last.actions).toEqual([]);
        outcomes.add(String(last.success));
      }
    }
    expect(outcomes.size).toBe(2);
  });

  it("draws random products by the task, not by the clock or by what was played before", async () => {
    const module = shop({}, stockOf(large));
    const tasks = await tasksOf(module, "train");
    const draw = async (index: number, before: number) => {
      const environment = await module.create();
      for (let i = 0; i < before; i++) {
        await environment.reset(tasks.at(i));
        await environment.step("search[<r>]");
      }
      await environment.reset(tasks.at(index));
      return [(await environment.step("search[<r>]")).text, (await environment.step("click[next >]")).text];
    };
    const drawn = await draw(5, 0);
    expect(await draw(5, 3)).toEqual(drawn);
    expect((await draw(6, 0))[0]).not.toBe(drawn[0]);
  });

  it("says what is wrong", async () => {
    const code = (name: string) => expect.objectContaining({ code: name });
    expect(() => shop({ mode: "image" } as never)).toThrowError(code("CONFIG_ENVIRONMENT"));
    expect(() => shop({ colour: 1 } as never)).toThrowError(/colour/);
    const module = shop();
    await expect(tasksOf(module, "dev")).rejects.toThrowError(/no split 'dev'.*train, valid, test/);
    const tasks = await tasksOf(module, "train");
    expect(() => tasks.at(tasks.length)).toThrowError(code("TASK_UNKNOWN"));
    expect(() => tasks.at(-1)).toThrowError(code("TASK_UNKNOWN"));
    const environment = await module.create();
    expect(() => environment.step("search[a]")).toThrowError(code("NOT_RESET"));
    expect(() => environment.reset({ id: "x", split: "train", type: "t" })).toThrowError(code("TASK_UNKNOWN"));
    expect(() => environment.reset({ id: "x", split: "train", type: "t", data: { goal: 1e6 } })).toThrowError(code("WEBSHOP_GOAL_UNKNOWN"));
  });
});
