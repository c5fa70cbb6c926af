/** The source `shop`: generated shops, none of them the one that results are reported on, from nothing, into the folder that is shipped. */
import { compactShop } from "../agent/compact-shop.js";
import shop, { goalsByDepartment, openShop } from "../env/shop/index.js";
import { DEPARTMENTS } from "../env/shop/words.js";
import { ShopEnvironment } from "../env/webshop/module.js";
import { DEFAULT_SIZE } from "./base.js";
import { baseReport, DEFAULT_REPORT, type Heading, reportMarkdown } from "./report.js";
import { SHOP_CURRICULUM } from "./shop/curriculum.js";
import { type ShopDataSettings, type ShopSource, shopExamples } from "./shop/examples.js";
import { lessonsOf } from "./shop/skills.js";
import type { Source } from "./source.js";
import { DEFAULT_TRAIN } from "./train.js";

export const SHOP_DATA: ShopDataSettings = {
  seed: 0,
  curriculum: SHOP_CURRICULUM,
  departments: DEPARTMENTS,
  mix: { plain: 0.36, right: 0.33, bad: 0.08, irrelevant: 0.09, writing: 0.14 },
  habits: { beauty: 0.1, electronics: 0.1, fashion: 0.2, garden: 0.1, grocery: 0.15 },
  sloppiness: 0.2,
  noise: { right: 0.06, other: 0.03 },
  beside: 0.2,
  historyLength: 2,
  maxSteps: 15,
  shuffleBuffer: 4096,
  disguiseFrom: 0,
};

const HEADING: Heading = {
  title: "The tiny base policy of the shop",
  intro:
    "What the shipped base can do before any reinforcement learning, on the held-out products of the embedded shop. It has never seen that shop: " +
    "it was taught in other generated ones. A policy of its own, because its prompts, actions and words share nothing with those of `models/tiny`: " +
    "two small policies are simpler to make and to judge than one that has to be good at both, and the household's numbers stay what they are.",
};

/** Seeds of catalogues below this belong to users; each stream has its own range above. */
const FIRST_CATALOGUE = 1_000_000;
const CATALOGUES_PER_STREAM = 1_000_000;
/** Episodes in one catalogue before the next one is made. */
const EPISODES_PER_CATALOGUE = 400;

/** Tasks of generated shops, a new shop every so many episodes. */
export function generatedShops(seed: number): ShopSource {
  let open:
    | { readonly number: number; readonly goals: ReturnType<typeof goalsByDepartment>; readonly environment: ShopEnvironment }
    | undefined;
  return (episode, department, rng) => {
    const number = Math.floor(episode / EPISODES_PER_CATALOGUE);
    if (open?.number !== number) {
      const world = openShop(FIRST_CATALOGUE + seed * CATALOGUES_PER_STREAM + number);
      open = { number, goals: goalsByDepartment(world), environment: new ShopEnvironment("shop", world) };
    }
    const { environment, goals } = open;
    const goal = rng.pick(goals.get(department)!);
    const first = environment.reset({ id: `${number}/${goal}`, split: "pretrain", type: department, data: { goal } });
    return { first, step: (action) => environment.step(action) };
  };
}

export const shopSource: Source = {
  about: "generated shops -> models/shop-tiny",
  defaults: {
    out: "models/shop-tiny",
    // So many tokens that every word of the shop is one. Products' numbers are two: as one they are too many to learn to copy.
    size: { ...DEFAULT_SIZE, vocabulary: 1536 },
    train: DEFAULT_TRAIN,
    games: 240,
    temperature: DEFAULT_REPORT.temperature,
  },
  template: compactShop,
  examples: (options) => shopExamples(compactShop, { ...SHOP_DATA, ...options }, generatedShops(options.seed)),
  async measure(policy, tokenizer, options) {
    const environment = shop();
    const settings = {
      ...DEFAULT_REPORT,
      ...options,
      lessons: lessonsOf(SHOP_CURRICULUM),
      writerGames: options.games,
      maxSteps: SHOP_DATA.maxSteps,
    };
    const report = await baseReport(policy, tokenizer, compactShop, environment, settings);
    return (facts) => reportMarkdown(report, facts, HEADING);
  },
};
