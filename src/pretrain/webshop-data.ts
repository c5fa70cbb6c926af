/**
 * The source `webshop`: goals of WebShop's 1,000 products whose products are in the train part, categories in turn. The policy that comes
 * out is made from other people's data and is not shipped.
 */
import { compactShop } from "../agent/compact-shop.js";
import { DEPARTMENTS, type Department } from "../env/shop/words.js";
import webshop, { openWebshop, type WebshopData } from "../env/webshop/index.js";
import { ShopEnvironment } from "../env/webshop/module.js";
import { splitOf } from "../env/webshop/splits.js";
import { openWorld } from "../env/webshop/world.js";
import { SiriError } from "../errors.js";
import { DEFAULT_SIZE } from "./base.js";
import { baseReport, DEFAULT_REPORT, type Heading, reportMarkdown } from "./report.js";
import { WEBSHOP_CURRICULUM } from "./shop/curriculum.js";
import { type ShopDataSettings, type ShopSource, shopExamples } from "./shop/examples.js";
import { lessonsOf } from "./shop/skills.js";
import { SHOP_DATA } from "./shop-data.js";
import type { Source } from "./source.js";
import { DEFAULT_TRAIN } from "./train.js";

export const WEBSHOP_DATA: ShopDataSettings = {
  ...SHOP_DATA,
  curriculum: WEBSHOP_CURRICULUM,
  habits: { beauty: 0.2, electronics: 0.2, fashion: 0.2, garden: 0.2, grocery: 0.2 },
};

/** As the environment draws and parts its goals where a run file says nothing else. */
const GOALS = { kind: "synthetic", seed: 233 } as const;
const SMALL: WebshopData = { products: "1000" };

const HEADING: Heading = {
  title: "A tiny policy for WebShop",
  intro:
    "What imitation alone gives, before any reinforcement learning: goals of the 1,000 products' test part (a tenth of the products, none of them wanted in training).",
};

/** Goals of a category are drawn with return, so that its share of the rows does not follow its share of the goals. */
export async function webshopGoals(data: WebshopData = SMALL): Promise<ShopSource> {
  const { stock, nouns } = await openWebshop({ data: undefined, products: undefined, nouns: undefined, ...data });
  const world = openWorld(stock, GOALS, nouns);
  const goals = new Map<Department, number[]>(DEPARTMENTS.map((department) => [department, []]));
  for (const place of splitOf(world.goals, "product", "train")) goals.get(world.goals.goal(place).category as Department)!.push(place);
  for (const [department, places] of goals) {
    if (places.length === 0)
      throw new SiriError("WEBSHOP_GOALS", `WebShop data: no goal of the train part is of the category ${department}`);
  }
  const environment = new ShopEnvironment("webshop", world);
  return (_episode, department, rng) => {
    const goal = rng.pick(goals.get(department)!);
    const first = environment.reset({ id: `${goal}`, split: "train", type: department, data: { goal } });
    return { first, step: (action) => environment.step(action) };
  };
}

export const webshopSource: Source = {
  about: "WebShop's 1,000 products -> models/webshop-tiny",
  defaults: {
    out: "models/webshop-tiny",
    // Titles and options are made of thousands of words.
    size: { ...DEFAULT_SIZE, vocabulary: 4096 },
    train: { ...DEFAULT_TRAIN, rows: 160_000 },
    games: 240,
    temperature: DEFAULT_REPORT.temperature,
  },
  template: compactShop,
  examples: async (options) => shopExamples(compactShop, { ...WEBSHOP_DATA, ...options }, await webshopGoals()),
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
