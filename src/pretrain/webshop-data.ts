/**
 * The source `webshop`: goals of WebShop's 1,000 products whose products are in the train part, categories in turn. The policy that comes
 * out is made from other people's data and is not shipped.
 */
import { compactShop } from "../agent/compact-shop.js";
import { DEPARTMENTS, type Department } from "../env/shop/words.js";
import webshop, { openWebshop, type WebshopData } from "../env/webshop/index.js";
import { ShopEnvironment } from "../env/webshop/module.js";
import { splitOf } from "../env/webshop/splits.js";
import type { Catalogue } from "../env/webshop/types.js";
import { openWorld } from "../env/webshop/world.js";
import { SiriError } from "../errors.js";
import { DEFAULT_SIZE } from "./base.js";
import { baseReport, DEFAULT_REPORT, type Heading, reportMarkdown } from "./report.js";
import { WEBSHOP_CURRICULUM } from "./shop/curriculum.js";
import type { DisguiseOptions } from "./shop/disguise.js";
import { type ShopDataSettings, type ShopSource, shopExamples } from "./shop/examples.js";
import { lessonsOf, skillWords } from "./shop/skills.js";
import { SHOP_DATA } from "./shop-data.js";
import type { Source } from "./source.js";
import { DEFAULT_TRAIN } from "./train.js";

export const WEBSHOP_DATA: ShopDataSettings = {
  ...SHOP_DATA,
  curriculum: WEBSHOP_CURRICULUM,
  disguiseFrom: 10_000,
  // Most goals are of clothes; the few of the others are not to drown.
  departments: ["fashion", "garden", "fashion", "electronics", "fashion", "beauty", "fashion", "grocery"],
  habits: { beauty: 0.2, electronics: 0.2, fashion: 0.2, garden: 0.2, grocery: 0.2 },
};

/** What prompts, thoughts and actions are made of besides skills: it means something, and stays under every disguise. */
const PROGRAM_WORDS =
  "task skill searched did page results item search seen chosen nothing happened features description attributes reviews of and more can back to " +
  "prev next buy now click won lost in steps find me with price lower than dollars total color size think action all words the thing below limit " +
  "again read try another no choose it look around go has not there any first dearest take a an are as at be by for from have i is looking need " +
  "on or that want would like am";

/** As the environment draws and parts its goals where a run file says nothing else. */
const GOALS = { kind: "synthetic", seed: 233 } as const;
const SMALL: WebshopData = { products: "1000" };

const HEADING: Heading = {
  title: "A tiny policy for WebShop",
  intro:
    "What imitation alone gives, before any reinforcement learning: goals of the 1,000 products' test part (a tenth of the products, none of them wanted in training).",
};

/** The data, and how their words are disguised. Goals of a category are drawn with return. */
export async function webshopGoals(
  data: WebshopData = SMALL,
): Promise<{ readonly source: ShopSource; readonly disguise: DisguiseOptions }> {
  const { stock, nouns } = await openWebshop({ data: undefined, products: undefined, nouns: undefined, ...data });
  const world = openWorld(stock, GOALS, nouns);
  const goals = new Map<Department, number[]>(DEPARTMENTS.map((department) => [department, []]));
  for (const place of splitOf(world.goals, "product", "train")) goals.get(world.goals.goal(place).category as Department)!.push(place);
  for (const [department, places] of goals) {
    if (places.length === 0)
      throw new SiriError("WEBSHOP_GOALS", `WebShop data: no goal of the train part is of the category ${department}`);
  }
  const environment = new ShopEnvironment("webshop", world);
  const source: ShopSource = (_episode, department, rng) => {
    const goal = rng.pick(goals.get(department)!);
    const first = environment.reset({ id: `${goal}`, split: "train", type: department, data: { goal } });
    return { first, step: (action) => environment.step(action) };
  };
  const kept = new Set([...PROGRAM_WORDS.split(" "), ...skillWords(WEBSHOP_CURRICULUM)]);
  const words = wordsOf(stock).filter((word) => !kept.has(word));
  const numbers = Array.from({ length: stock.length }, (_, position) => stock.asin(position).toLowerCase());
  return { source, disguise: { words, numbers, kept } };
}

/** Words of titles and options, lower case, each once. */
function wordsOf(stock: Catalogue): string[] {
  const words = new Set<string>();
  for (let position = 0; position < stock.length; position++) {
    const { title, options } = stock.product(position);
    for (const text of [title, ...[...options.values()].flat()]) {
      for (const word of text.toLowerCase().match(/\p{L}{2,}/gu) ?? []) words.add(word);
    }
  }
  return [...words];
}

export const webshopSource: Source = {
  about: "WebShop's 1,000 products -> models/webshop-tiny",
  defaults: {
    out: "models/webshop-tiny",
    // Titles and options are made of thousands of words.
    size: { ...DEFAULT_SIZE, vocabulary: 4096 },
    train: { ...DEFAULT_TRAIN, rows: 200_000 },
    games: 240,
    temperature: DEFAULT_REPORT.temperature,
  },
  template: compactShop,
  async examples(options) {
    const { source, disguise } = await webshopGoals();
    return shopExamples(compactShop, { ...WEBSHOP_DATA, disguise, ...options }, source);
  },
  async measure(policy, tokenizer, options) {
    const settings = {
      ...DEFAULT_REPORT,
      ...options,
      lessons: lessonsOf(WEBSHOP_CURRICULUM),
      split: "test",
      writerGames: options.games,
      maxSteps: WEBSHOP_DATA.maxSteps,
    };
    const report = await baseReport(policy, tokenizer, compactShop, webshop(SMALL), settings);
    return (facts) => reportMarkdown(report, facts, HEADING);
  },
};
