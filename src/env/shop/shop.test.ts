import { describe, expect, it } from "vitest";
import type { Task } from "../environment.js";
import { normalizeColour } from "../webshop/colour.js";
import { tokenSetRatio } from "../webshop/fuzzy.js";
import { ShopEnvironment } from "../webshop/module.js";
import { generateShop } from "./generate.js";
import shop, { goalsByDepartment, heldOut, openShop } from "./index.js";
import { DEPARTMENTS, MAKERS, WORDS } from "./words.js";

const pairs = (list: readonly string[]): [string, string][] =>
  list.flatMap((a, i) => list.slice(i + 1).map((b): [string, string] => [a, b]));

describe("the words", () => {
  it("mean different things to the reward: nothing asked for is met by something else", () => {
    for (const { properties, options, remarks, things } of Object.values(WORDS)) {
      for (const [a, b] of pairs(properties)) expect(tokenSetRatio(a, b), `${a}, ${b}`).toBeLessThanOrEqual(85);
      for (const { name, values } of options) {
        for (const [a, b] of pairs(values)) {
          const asked = `('${name}', '${b}')`;
          expect(tokenSetRatio(normalizeColour(a), asked), `${a}, ${b}`).toBeLessThanOrEqual(85);
          expect(normalizeColour(a)).not.toBe(normalizeColour(b));
        }
        for (const value of values) expect(tokenSetRatio(normalizeColour(value), `('${name}', '${value}')`), value).toBeGreaterThan(85);
      }
      for (const property of properties) {
        for (const text of [...remarks, ...things, ...MAKERS]) expect(text.toLowerCase()).not.toContain(property);
      }
    }
  });

  it("say what is wanted in words that are in no other thing or property of the department", () => {
    for (const { things, properties } of Object.values(WORDS)) {
      const words = [...things, ...properties].flatMap((text) => text.split(" "));
      expect(words.filter((word, i) => words.indexOf(word) !== i)).toEqual([]);
    }
  });
});

describe("generateShop", () => {
  it("is the same for the same seed and another for another", () => {
    expect(generateShop(3)).toEqual(generateShop(3));
    expect(generateShop(3)).not.toEqual(generateShop(4));
  });

  it("makes a few hundred products with numbers of their own, and an instruction for most", () => {
    const { items, instructions } = generateShop(0);
    expect(items.length).toBeGreaterThan(400);
    expect(items.length).toBeLessThan(600);
    expect(new Set(items.map(({ asin }) => asin)).size).toBe(items.length);
    expect(Object.keys(instructions).sort()).toEqual(items.map(({ asin }) => asin).sort());
    expect(Object.values(instructions).filter(({ instruction }) => instruction !== undefined).length).toBeGreaterThan(items.length / 2);
  });

  it("makes families that differ in what decides in their department", () => {
    const { items, instructions } = generateShop(1);
    for (const item of items) {
      const { instruction, instruction_attributes: wanted } = instructions[item.asin]!;
      if (instruction === undefined) continue;
      const [property] = wanted!;
      const family = items.filter(({ query }) => query === item.query);
      const price = ({ pricing }: { pricing: string }) => Number(pricing.slice(1));
      const has = (text: string) => text.toLowerCase().includes(property!);
      const right = family.filter((other) => instructions[other.asin]!.attributes.includes(property!));
      expect(right).toContain(item);
      switch (item.category) {
        case "beauty":
          expect(right).toHaveLength(2);
          expect(right.every((other) => has(other.full_description) && !has(other.name))).toBe(true);
          break;
        case "electronics":
          // Searches reach the first bullet point only.
          expect(right).toHaveLength(2);
          expect(right.every((other) => other.small_description.slice(1).some(has) && !has(other.small_description[0]!))).toBe(true);
          expect(right.some((other) => has(other.name) || has(other.full_description))).toBe(false);
          break;
        case "fashion":
          expect(Object.keys(item.customization_options)).toEqual(["color", "size"]);
          break;
        case "garden":
          expect(new Set(family.map((other) => JSON.stringify(other.customization_options))).size).toBeGreaterThan(1);
          break;
        case "grocery":
          expect(right).toHaveLength(9);
          expect(right.filter((other) => price(other) < 20)).toHaveLength(3);
          expect(right.filter((other) => price(other) > 50)).toHaveLength(6);
      }
      expect(price(item)).toBeLessThan(20);
    }
  });
});

describe("shop", () => {
  const module = shop();

  it("parts its tasks by product, departments in turn", async () => {
    const { goals } = openShop(0);
    const products = new Map<string, Set<string>>();
    for (const split of module.splits) {
      const tasks = await module.tasks(split);
      expect(tasks.length).toBeGreaterThanOrEqual(split === "unseen" ? 200 : 400);
      const list: Task[] = Array.from({ length: tasks.length }, (_, i) => tasks.at(i));
      expect(list.slice(0, 5).map(({ type }) => type)).toEqual([...DEPARTMENTS]);
      expect(new Set(list.map(({ id }) => id)).size).toBe(list.length);
      const asins = list.map(({ data, type }) => {
        const goal = goals.goal((data as { goal: number }).goal);
        expect(goal.category).toBe(type);
        return goal.asin;
      });
      products.set(split, new Set(asins));
    }
    expect([...products.get("train")!].filter((asin) => products.get("unseen")!.has(asin))).toEqual([]);
    expect([...products.get("train")!].some(heldOut)).toBe(false);
  });

  it("can be shopped in: reward 10 for what is wanted, none and a score for less", async () => {
    const world = openShop(0);
    const environment = new ShopEnvironment("shop", world);
    const goal = goalsByDepartment(world).get("fashion")![0]!;
    const { asin, goalOptions, name } = world.goals.goal(goal);
    const task: Task = { id: "x", split: "train", type: "fashion", data: { goal } };
    const choices = [...(goalOptions as ReadonlyMap<string, string>).values()].map((value) => `click[${value}]`);
    const buy = (actions: readonly string[]) => {
      environment.reset(task);
      environment.step(`search[${name.toLowerCase()}]`);
      environment.step(`click[${asin.toLowerCase()}]`);
      for (const action of actions) environment.step(action);
      return environment.step("click[buy now]");
    };
    expect(buy(choices)).toMatchObject({ done: true, success: true, reward: 10, score: 1 });
    expect(buy(choices.slice(1))).toMatchObject({ done: true, success: false, reward: 0, score: 0.75 });
  });

  it("names what it does not know", async () => {
    expect(() => shop({ catalogue: -1 })).toThrow(/catalogue/);
    expect(() => shop({ size: 3 } as never)).toThrow(/size/);
    expect(() => module.tasks("test")).toThrow(/train, unseen/);
    const tasks = await module.tasks("unseen");
    expect(() => tasks.at(tasks.length)).toThrow(/from 0/);
  });
});
