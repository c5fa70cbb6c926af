import { beforeAll, describe, expect, it } from "vitest";
import { haveData, readDataLines } from "../../../test/webshop/data.js";
import { THOUSAND_FILES, thousand } from "../../../test/webshop/source.js";
import { colourOfChoice, normalizeColour } from "./colour.js";
import { nounsOf } from "./nouns.js";
import { matchedOptions, rewardOf } from "./reward.js";
import type { Goal, Product } from "./types.js";

const product: Product = {
  asin: "A",
  title: "Oak Chair",
  description: "Easy to clean.",
  bulletPoints: ["Made of SOLID", "wood"],
  pricing: [20],
  priceTag: "$20.0",
  options: new Map(),
  optionImages: new Map(),
  attributes: ["high back", "long lasting"],
  category: "garden",
  query: "chairs",
  productCategory: "Home \u203a Furniture \u203a Chairs",
  mainImage: "",
};

const goal: Goal = {
  asin: "A",
  category: "garden",
  query: "chairs",
  name: "Oak Chair",
  productCategory: "Home \u203a Furniture \u203a Chairs",
  instructionText: "",
  attributes: ["back high", "solid wood", "easy to clean", "gold plated"],
  priceUpper: 30,
  goalOptions: new Map([
    ["color", "deep red"],
    ["size", "large"],
  ]),
  weight: 1,
};

const nouns = nounsOf(
  new Map([
    ["Oak Chair", ["oak", "chair"]],
    ["Red Table", ["table"]],
    ["Chair Chair Chair Sofa", ["chair", "chair", "chair", "sofa"]],
    ["Many", [..."abcdefghijk", "oak"]],
    ["", []],
  ]),
);
const score = (changes: { product?: Partial<Product>; goal?: Partial<Goal>; price?: number; choices?: Readonly<Record<string, string>> }) =>
  rewardOf(
    {
      product: { ...product, ...changes.product },
      price: changes.price ?? 20,
      choices: new Map(Object.entries(changes.choices ?? { color: "deep red", size: "large" })),
    },
    { ...goal, ...changes.goal },
    nouns,
  );

describe("the reward", () => {
  it("counts attributes by likeness or by text, options and price", () => {
    const { score: total, info } = score({});
    expect(info).toEqual({
      r_type: 1,
      r_att: 3 / 4,
      w_att: 4 / 7,
      query_match: true,
      category_match: true,
      title_score: 1,
      r_option: 1,
      w_option: 2 / 7,
      r_price: true,
      w_price: 1 / 7,
    });
    expect(total).toBe(6 / 7);
    expect(score({ price: 30 }).info.r_price).toBe(true);
    expect(score({ price: 30.01, choices: {} }).score).toBe(3 / 7);
  });

  it("leaves the option parts out when no options are asked", () => {
    const { info, score: total } = score({ goal: { goalOptions: [] } });
    expect("r_option" in info || "w_option" in info).toBe(false);
    expect(total).toBe(4 / 5);
  });

  it.each([
    ["another query, category shared twice", { product: { query: "x" } }, 1],
    ["nothing but the nouns", { product: { query: "x", productCategory: "Y \u203a Chairs" } }, 1],
    ["few nouns, same query", { goal: { name: "Many" } }, 0.1],
    ["no noun, same query", { goal: { name: "Red Table" } }, 0],
    ["a quarter of the nouns", { goal: { name: "Chair Chair Chair Sofa" }, product: { query: "x", productCategory: "Y" } }, 1],
    ["a goal without nouns, nothing else", { goal: { name: "" }, product: { query: "x", productCategory: "Z" } }, 0.5],
  ] as const)("type: %s", (_, changes, expected) => {
    expect(score(changes).info.r_type).toBe(expected);
  });

  it("a title with repeated nouns scores below 1 against itself", () => {
    expect(score({ goal: { name: "Chair Chair Chair Sofa" }, product: { title: "Chair Chair Chair Sofa" } }).info.title_score).toBe(0.5);
  });
});

describe("options and colours", () => {
  it("finds the first colour of the alphabet", () => {
    expect(["dark red", "titanium", "bordered", "9-black", "04"].map(normalizeColour)).toEqual(["dark", "tan", "red", "black", "04"]);
    expect([colourOfChoice("color", "red"), colourOfChoice("gold", "blue"), colourOfChoice("color", "deep red")]).toEqual([
      "red",
      "blue",
      undefined,
    ]);
  });

  it("takes pairs and plain values differently", () => {
    const pair = new Map([["color", "black-red"]]);
    expect(matchedOptions(["midnight black"], ["black-red"])).toBe(1);
    expect(matchedOptions(["midnight black"], pair)).toBe(1);
    expect(matchedOptions(["x-large"], new Map([["size", "large"]]))).toBe(0);
    expect(matchedOptions(["x-large"], ["large"])).toBe(1);
    expect(matchedOptions([], pair)).toBe(0);
  });
});

const colours = "goldens/normalize_color.jsonl.gz";
describe.skipIf(!haveData(colours))("recordings of colours", () => {
  it("every colour is equal", () => {
    const rows = readDataLines<{ readonly s: string; readonly c: string }>(colours);
    expect(rows.length).toBe(600);
    expect(rows.filter(({ s, c }) => normalizeColour(s) !== c)).toEqual([]);
  });
});

const optionRewards = "goldens/option_reward.jsonl.gz";
describe.skipIf(!haveData(optionRewards))("recordings of options", () => {
  it("every match is equal, for pairs and for plain values", () => {
    const rows = readDataLines<{
      readonly purchased: readonly string[];
      readonly goal_dict: Readonly<Record<string, string>>;
      readonly as_dict: readonly [number, number];
      readonly as_list: readonly [number, number];
    }>(optionRewards);
    expect(rows.length).toBe(400);
    const wrong = rows.filter(({ purchased, goal_dict, as_dict, as_list }) => {
      const pairs = matchedOptions(purchased, new Map(Object.entries(goal_dict)));
      return pairs !== as_dict[1] || matchedOptions(purchased, Object.values(goal_dict)) !== as_list[1];
    });
    expect(wrong).toEqual([]);
  });
});

interface Row {
  readonly goal: {
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
  };
  readonly purchased_asin: string;
  readonly options: Readonly<Record<string, string>>;
  readonly price: number;
  readonly exact: {
    readonly query_match: boolean;
    readonly category_match: boolean;
    readonly r_att: number;
    readonly num_attr_matches: number;
    readonly r_option: number | null;
    readonly r_price: boolean;
    readonly w_att: number;
    readonly w_option: number | null;
    readonly w_price: number;
  };
  readonly tagger_dependent: {
    readonly purchased_nouns: readonly string[];
    readonly desired_nouns: readonly string[];
    readonly title_score: number;
    readonly r_type: number;
    readonly reward: number;
  };
}

const rewards = "goldens/reward.jsonl.gz";
describe.skipIf(!haveData(rewards, ...THOUSAND_FILES))("recordings of rewards", () => {
  const products = new Map<string, Product>();
  beforeAll(() => {
    const source = thousand();
    for (let i = 0; i < source.length; i++) products.set(source.product(i).asin, source.product(i));
  });

  const reward = (row: Row) => {
    const { goal: asked, tagger_dependent: recorded } = row;
    const bought = products.get(row.purchased_asin) as Product;
    const lists = new Map([
      [asked.name, recorded.desired_nouns],
      [bought.title, recorded.purchased_nouns],
    ]);
    return rewardOf(
      { product: bought, price: row.price, choices: new Map(Object.entries(row.options)) },
      {
        asin: asked.asin,
        category: asked.category,
        query: asked.query,
        name: asked.name,
        productCategory: asked.product_category,
        instructionText: asked.instruction_text,
        attributes: asked.attributes,
        priceUpper: asked.price_upper,
        goalOptions: Array.isArray(asked.goal_options) ? asked.goal_options : new Map(Object.entries(asked.goal_options)),
        weight: asked.weight,
      },
      nounsOf(lists),
    );
  };

  it("every part and every score is equal", () => {
    const rows = readDataLines<Row>(rewards);
    expect(rows.length).toBe(1372);
    for (const [i, row] of rows.entries()) {
      const { exact, tagger_dependent: tagged } = row;
      const { score: total, info } = reward(row);
      const expected = {
        r_type: tagged.r_type,
        r_att: exact.r_att,
        w_att: exact.w_att,
        query_match: exact.query_match,
        category_match: exact.category_match,
        title_score: tagged.title_score,
        ...(exact.r_option !== null && { r_option: exact.r_option, w_option: exact.w_option }),
        r_price: exact.r_price,
        w_price: exact.w_price,
      };
      const got = JSON.stringify([total, info]);
      if (got !== JSON.stringify([tagged.reward, expected])) expect([total, info], `row ${i}`).toEqual([tagged.reward, expected]);
    }
  });
});
