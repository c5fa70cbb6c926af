/** A hand-made shop for tests: products with odd texts, and a search that lists what has one of the words in its title. */
import { PythonRandom } from "../../src/env/webshop/python/random.js";
import { resultFinder } from "../../src/env/webshop/results.js";
import type { TextShopWorld } from "../../src/env/webshop/text-shop.js";
import type { Catalogue, Goal, Product } from "../../src/env/webshop/types.js";

export function product(asin: string, parts: Partial<Product> = {}): Product {
  return {
    asin,
    title: `thing ${asin}`,
    description: `about ${asin}`,
    bulletPoints: ["first", "second"],
    pricing: [12.5],
    priceTag: "$12.5",
    options: new Map(),
    optionImages: new Map(),
    attributes: ["fine"],
    category: "garden",
    query: "things",
    productCategory: "Home › Things",
    mainImage: "https://example.org/a.jpg",
    ...parts,
  };
}

/** Twelve plain products, then those with something odd about them. */
export const PRODUCTS: readonly Product[] = [
  ...Array.from({ length: 12 }, (_, i) => product(`B0000000${String(i).padStart(2, "0")}`, { title: `chair ${i}` })),
  product("B000SHIRT0", {
    title: `shirt "A & B" <b>'s`,
    options: new Map([
      ["size", ["small", '52" wide', "large"]],
      ["color", ["red", "größer", "it's", "small"]],
    ]),
    optionImages: new Map<string, string | null>([
      ["small", null],
      ["red", "https://example.org/red.jpg"],
      ["it's", "https://example.org/it's.jpg"],
    ]),
    bulletPoints: ["", " \n", "\u00a0", "soft "],
    description: "",
    attributes: ["soft", ""],
    category: "fashion",
    query: "men's shirts",
  }),
  product("B000NAMES0", { title: "lamp", options: new Map([["kind", ["reviews", "next >", "search", "7", "11", "  two  blanks "]]]) }),
  product("B000BLANK0", { title: "   ", description: "\n \n", bulletPoints: ["\x1c\u0085both ends\u00a0", "\ufeffkept\u200b", "a\r\nb"] }),
];

export const GOAL: Goal = {
  asin: "B000SHIRT0",
  category: "fashion",
  query: "men's shirts",
  name: "shirt",
  productCategory: "Home › Things",
  instructionText: "Find me a shirt & more with size: 52\" wide, and it's <cheap>",
  attributes: ["soft"],
  priceUpper: 50,
  goalOptions: new Map([["size", "small"]]),
  weight: 1,
};

const positions = (holds: (item: Product) => boolean): number[] => PRODUCTS.flatMap((item, i) => (holds(item) ? [i] : []));

export const CATALOGUE: Catalogue = {
  length: PRODUCTS.length,
  product: (index) => PRODUCTS[index]!,
  find: (asin) => {
    const index = PRODUCTS.findIndex((item) => item.asin === asin);
    return index < 0 ? undefined : index;
  },
  search: (query, limit = 50) => {
    const words = query.split(" ");
    return PRODUCTS.flatMap(({ title, asin }, i) =>
      words.some((word) => title.split(" ").includes(word) || asin.toLowerCase() === word) ? [i] : [],
    ).slice(0, limit);
  },
  inCategory: (category) => positions((item) => item.category === category),
  withQuery: (query) => positions((item) => item.query === query),
};

/** Scores 1 for the goal's product, otherwise 0.25. */
export function tinyWorld(goals: readonly Goal[] = [GOAL, { ...GOAL, instructionText: "Find me another" }]): TextShopWorld {
  return {
    catalogue: CATALOGUE,
    goals: {
      goal: (index) => {
        const goal = goals[index];
        if (!goal) throw new Error(`no goal ${index}`);
        return goal;
      },
      draw: (random = new PythonRandom(0)) => random.below(goals.length),
    },
    find: resultFinder(CATALOGUE),
    reward: ({ asin }, _choices, goal) => {
      const hit = asin === goal.asin;
      return {
        score: hit ? 1 : 0.25,
        info: { r_type: 1, r_att: 1, w_att: 0.5, query_match: hit, category_match: true, title_score: 1, r_price: hit, w_price: 0.5 },
      };
    },
  };
}
