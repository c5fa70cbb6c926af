import { createHash } from "node:crypto";
import { beforeAll, describe, expect, it } from "vitest";
import { haveData, readDataLines } from "../../../test/webshop/data.js";
import { type Entry, sourceOf, THOUSAND_FILES, thousand } from "../../../test/webshop/source.js";
import { type GoalKind, type GoalOptions, goalsOf, NO_PRICE_LIMIT } from "./goals.js";
import { floatRepr } from "./python/text.js";
import type { Goal, GoalSource, Product } from "./types.js";

function entry(asin: string, pricing: readonly number[], options: Readonly<Record<string, readonly string[]>> = {}): Entry {
  const product: Product = {
    asin,
    title: `Title of ${asin}`,
    description: "",
    bulletPoints: [""],
    pricing,
    priceTag: "",
    options: new Map(Object.entries(options)),
    optionImages: new Map(),
    attributes: [],
    category: "garden",
    query: "chairs",
    productCategory: "Home › Chairs",
    mainImage: "",
  };
  return { product, instruction: { text: `find ${asin}`, attributes: [asin === "A" ? "oak" : "soft"] } };
}

const shop = sourceOf([
  entry("A", [12], { size: ["l", "s"], color: ["red", "blue", "red"] }),
  entry("B", [5, 3]),
  entry("C", [985]),
  entry("D", [20], { size: [] }),
  { ...entry("E", [7]), instruction: undefined },
]);

const all = (source: GoalSource, options: GoalOptions): Goal[] => {
  const goals = goalsOf(source, options);
  return Array.from({ length: goals.length }, (_, i) => goals.goal(i));
};

describe("goals of a small shop", () => {
  it("makes one goal per combination, the last name's values fastest", () => {
    const goals = all(shop, { kind: "synthetic", seed: 1 });
    expect(goals.length).toBe(6 + 1 + 1);
    const ofA = goals.filter(({ asin }) => asin === "A");
    const choices = ofA.map(({ goalOptions }) => JSON.stringify([...(goalOptions as ReadonlyMap<string, string>)]));
    expect(new Set(choices)).toEqual(
      new Set(["red", "blue"].flatMap((color) => ["l", "s"].map((size) => `[["color","${color}"],["size","${size}"]]`))),
    );
    // A value that stands twice makes two goals.
    expect(choices.filter((text) => text.includes("red")).length).toBe(4);
  });

  it("writes the instruction", () => {
    const goals = all(shop, { kind: "synthetic", seed: 1 });
    const red = goals.find(
      ({ asin, goalOptions }) => asin === "A" && [...(goalOptions as Map<string, string>).values()].join() === "red,l",
    );
    expect([30, 40, 50]).toContain(red?.priceUpper);
    expect(red?.instructionText).toBe(`find A with color: red, and size: l, and price lower than ${red?.priceUpper}.00 dollars`);
    const costly = goals.find(({ asin }) => asin === "C");
    expect(costly).toMatchObject({ priceUpper: NO_PRICE_LIMIT, instructionText: "find C" });
  });

  it("weighs a goal by how rare its attributes are", () => {
    const goals = all(shop, { kind: "synthetic", seed: 1 });
    expect(goals.find(({ asin }) => asin === "A")?.weight).toBe(1 / 6);
    expect(goals.find(({ asin }) => asin === "B")?.weight).toBe(1 / 2);
  });

  it("keeps one limit for all goals of a product, and draws one for a product without combinations", () => {
    const limits = new Set(all(shop, { kind: "synthetic", seed: 3 }).flatMap(({ asin, priceUpper }) => (asin === "A" ? [priceUpper] : [])));
    expect(limits.size).toBe(1);
    // D makes no goal, but its draw moves those of the products behind it.
    const behind = (d: Entry) => sourceOf([d, ...Array.from({ length: 20 }, (_, i) => entry(`F${i}`, [1]))]);
    const caps = (source: GoalSource) =>
      all(source, { kind: "synthetic", seed: 4 })
        .filter(({ asin }) => asin !== "D")
        .map(({ asin, priceUpper }) => `${asin} ${priceUpper}`)
        .sort();
    const empty = caps(behind(entry("D", [20], { size: [] })));
    expect(empty).toEqual(caps(behind(entry("D", [20], { size: ["x"] }))));
    expect(empty).not.toEqual(caps(behind({ ...entry("D", [20]), instruction: undefined })));
  });

  it("uses human instructions as they are, one draw each", () => {
    const people = sourceOf([
      {
        ...entry("A", [12]),
        humanInstructions: [
          { text: "..i want it...", attributes: ["oak"], options: ["red"] },
          { text: "another", attributes: ["oak"], options: [] },
        ],
      },
    ]);
    const goals = all(people, { kind: "human", seed: 1 }).sort((a, b) => (a.instructionText < b.instructionText ? 1 : -1));
    expect(goals[0]?.instructionText).toMatch(/^i want it, and price lower than \d0\.00 dollars$/);
    expect(goals[0]).toMatchObject({ goalOptions: ["red"], attributes: ["oak"], weight: 1 });
    expect(goals[1]?.instructionText).toMatch(/^another, and price/);
  });

  it("same seed, same goals; the seed of the shuffle moves the order only", () => {
    const goals = all(shop, { kind: "synthetic", seed: 5 });
    expect(all(shop, { kind: "synthetic", seed: 5 })).toEqual(goals);
    const other = all(shop, { kind: "synthetic", seed: 5, shuffleSeed: 6 });
    expect(other).not.toEqual(goals);
    const sorted = (list: readonly Goal[]) => list.map((goal) => goal.instructionText).sort();
    expect(sorted(other)).toEqual(sorted(goals));
  });

  it("filters by place and goal, and limits", () => {
    const every = all(shop, { kind: "synthetic", seed: 1 });
    expect(all(shop, { kind: "synthetic", seed: 1, filter: (i, goal) => i >= 2 && goal.asin === "A" })).toEqual(
      every.filter((goal, i) => i >= 2 && goal.asin === "A"),
    );
    const few = all(shop, { kind: "synthetic", seed: 1, limit: 3 });
    expect(few.length).toBe(3);
    expect(new Set(few.map((goal) => goal.instructionText + JSON.stringify(every.indexOf(goal)))).size).toBe(3);
    expect(all(shop, { kind: "synthetic", seed: 1, limit: 99 })).toEqual(every);
  });

  it("never draws the first goal, and gives its weight to the next", () => {
    const goals = goalsOf(sourceOf([entry("A", [1]), entry("B", [1]), entry("C", [1])]), { kind: "synthetic", seed: 1 });
    const counts = [0, 0, 0];
    for (let i = 0; i < 3000; i++) (counts[goals.draw()] as number)++;
    expect(counts[0]).toBe(0);
    const weights = [0, 1, 2].map((i) => goals.goal(i).weight);
    const total = weights.reduce((a, b) => a + b);
    expect((counts[1] as number) / 3000).toBeCloseTo((weights[0] as number) / total, 1);
    const one = goalsOf(sourceOf([entry("A", [1])]), { kind: "synthetic", seed: 1 });
    expect([one.draw(), one.draw()]).toEqual([0, 0]);
  });

  it("names what is wrong", () => {
    expect(() => goalsOf(shop, { kind: "human" })).toThrow(/items_human_ins/);
    expect(() => goalsOf(shop, { kind: "synthetic", limit: 0 })).toThrow(/from 1, got 0/);
    expect(() => goalsOf(shop, { kind: "synthetic", filter: () => false })).toThrow(/kept none of 8/);
    expect(() => goalsOf(shop, { kind: "synthetic" }).goal(8)).toThrow(/from 0 to 7/);
    const many = Object.fromEntries(Array.from({ length: 12 }, (_, i) => [`group ${i}`, Array.from({ length: 10 }, String)]));
    expect(() => goalsOf(sourceOf([entry("X", [1], many)]), { kind: "synthetic" })).toThrow(/product X has 1000000000000 combinations/);
  });
});

interface GoalRow {
  readonly asin: string;
  readonly category: string;
  readonly query: string;
  readonly name: string;
  readonly product_category: string;
  readonly instruction_text: string;
  readonly attributes: readonly string[];
  readonly price_upper: number;
  readonly goal_options: readonly string[] | Readonly<Record<string, string>>;
  readonly weight: number;
}

const folder = "goldens";
const files = {
  prices: `${folder}/product_prices_preseed233.jsonl.gz`,
  synthetic: `${folder}/goals_synthetic_preseed233.jsonl.gz`,
  human: `${folder}/goals_human_preseed233.jsonl.gz`,
  limited: `${folder}/limit_goals_preseed233.jsonl.gz`,
  orders: `${folder}/verl_goal_orders.jsonl.gz`,
};

describe.skipIf(!haveData(...THOUSAND_FILES, ...Object.values(files)))("goals of the original on its 1,000 products", () => {
  let source: GoalSource;
  beforeAll(() => {
    source = thousand();
  });

  it("draws the same prices", () => {
    const { prices } = goalsOf(source, { kind: "synthetic", seed: 233 });
    const got = Array.from(prices, (price, i) => [source.product(i).asin, price]);
    expect(got).toEqual(readDataLines(files.prices));
  });

  it.each(["synthetic", "human"] as const)("makes the same %s goals in the same order", (kind: GoalKind) => {
    const expected = readDataLines<GoalRow>(files[kind]);
    const goals = all(source, { kind, seed: 233 });
    expect(goals.length).toBe(expected.length);
    const options = (value: GoalRow["goal_options"]) => (Array.isArray(value) ? value : Object.entries(value));
    goals.forEach((goal, i) => {
      const row = expected[i] as GoalRow;
      const { goalOptions, ...rest } = goal;
      const got = { ...rest, goalOptions: Array.isArray(goalOptions) ? goalOptions : [...goalOptions] };
      const wanted = {
        asin: row.asin,
        category: row.category,
        query: row.query,
        name: row.name,
        productCategory: row.product_category,
        instructionText: row.instruction_text,
        attributes: row.attributes,
        priceUpper: row.price_upper,
        weight: row.weight,
        goalOptions: options(row.goal_options),
      };
      // The quick comparison first: a readable difference costs a hundred times as much.
      if (JSON.stringify(got) !== JSON.stringify(wanted)) expect(got, `goal ${i}`).toEqual(wanted);
    });
  });

  const brief = ({ asin, priceUpper, goalOptions }: Goal) => [
    asin,
    priceUpper,
    Array.isArray(goalOptions) ? goalOptions : [...(goalOptions as ReadonlyMap<string, string>).values()],
  ];

  it("keeps the same goals when limited", () => {
    const rows = readDataLines<{ readonly limit: number; readonly asins: readonly unknown[] }>(files.limited);
    expect(rows.length).toBe(3);
    for (const { limit, asins } of rows) expect(all(source, { kind: "synthetic", seed: 233, limit }).map(brief)).toEqual(asins);
  });

  it("orders goals as verl-agent does", () => {
    interface Order {
      readonly seed: number;
      readonly human: boolean;
      readonly n: number;
      readonly first40: readonly unknown[];
      readonly last10: readonly unknown[];
      readonly prices: Readonly<Record<string, number>>;
      readonly sha256_of_compact_json: string;
    }
    const rows = readDataLines<Order>(files.orders);
    expect(rows.length).toBe(8);
    for (const { seed, human, n, first40, last10, prices, sha256_of_compact_json } of rows) {
      const list = goalsOf(source, { kind: human ? "human" : "synthetic", seed, shuffleSeed: seed });
      const goals = Array.from({ length: list.length }, (_, i) => list.goal(i));
      expect(goals.length).toBe(n);
      expect(goals.slice(0, 40).map(brief)).toEqual(first40);
      expect(goals.slice(-10).map(brief)).toEqual(last10);
      const drawn = Array.from(list.prices, (price, i) => [source.product(i).asin, price] as const).filter(([asin]) => asin in prices);
      expect(Object.fromEntries(drawn)).toEqual(prices);
      const python = goals.map((goal) => {
        const [asin, , values] = brief(goal);
        const limit = goal.priceUpper === NO_PRICE_LIMIT ? "1000000" : floatRepr(goal.priceUpper);
        return `[${JSON.stringify(asin)},${limit},${JSON.stringify(values)}]`;
      });
      expect(
        createHash("sha256")
          .update(`[${python.join(",")}]`)
          .digest("hex"),
      ).toBe(sha256_of_compact_json);
    }
  });
});
