import { beforeAll, describe, expect, it } from "vitest";
import { compactShop } from "../../agent/compact-shop.js";
import { projectAction } from "../../agent/projection.js";
import { skillLine } from "../../agent/skills.js";
import { offers } from "../../env/environment.js";
import { Rng } from "../../env/household/rng.js";
import { DEPARTMENTS, type Department } from "../../env/shop/words.js";
import { generatedShops, SHOP_DATA } from "../shop-data.js";
import type { Mix } from "../stream.js";
import type { Example } from "../train.js";
import { SHOP_CURRICULUM } from "./curriculum.js";
import { type Demonstration, demonstrate } from "./demonstrate.js";
import { episodeExamples, type ShopDataSettings, type ShopSource, shopExamples } from "./examples.js";
import { irrelevantSkill, lessonsOf, skillFor } from "./skills.js";
import type { Strategy } from "./strategies.js";
import { lowestPrice, readWish } from "./wish.js";

const NONE: Mix = { plain: 0, right: 0, bad: 0, irrelevant: 0, writing: 0 };
const only = (mix: Partial<Mix>, more: Partial<ShopDataSettings> = {}): ShopDataSettings => ({
  ...SHOP_DATA,
  ...more,
  mix: { ...NONE, ...mix },
});
const text = ({ prompt }: Example): string => prompt.map(({ content }) => content).join("");
const lessons = lessonsOf(SHOP_CURRICULUM);
/** Two numbers of the source's own catalogue are the same shop, so that it is made once. */
let source: ShopSource;
beforeAll(() => {
  const shops = generatedShops(7);
  source = (episode, department, rng) => shops(episode % 400, department, rng);
});

function play(
  department: Department,
  strategy: Strategy,
  index: number,
  more: { sloppiness?: number; noise?: number } = {},
): Demonstration {
  const rng = new Rng(index, `${department} ${strategy}`);
  return demonstrate(source(0, department, rng), { rng, strategy, ...SHOP_CURRICULUM[department].expert, maxSteps: 15, ...more });
}

function wins(department: Department, strategy: Strategy, count: number): number {
  return Array.from({ length: count }, (_, i) => play(department, strategy, i)).filter(({ success }) => success).length / count;
}

describe("readWish", () => {
  it("takes an instruction apart", () => {
    expect(readWish("find me a rain jacket with soft lining with color: red, and size: large, and price lower than 40.00 dollars")).toEqual(
      {
        thing: ["rain", "jacket"],
        properties: ["soft", "lining"],
        options: new Map([
          ["color", "red"],
          ["size", "large"],
        ]),
        limit: 40,
      },
    );
    expect(readWish("a thing")).toEqual({ thing: ["thing"], properties: [], options: new Map(), limit: Number.POSITIVE_INFINITY });
  });

  it("reads prices", () => {
    expect([lowestPrice("$12.5"), lowestPrice("$30.0 to $12.0")]).toEqual([12.5, 12]);
  });
});

describe("the scripted customer", () => {
  it.each(DEPARTMENTS)("always succeeds in %s when it does it right, and seldom when it makes a mistake", (department) => {
    expect(wins(department, "right", 40)).toBe(1);
    for (const mistake of SHOP_CURRICULUM[department].mistakes) expect(wins(department, mistake, 40), mistake).toBeLessThan(0.75);
    const mean =
      SHOP_CURRICULUM[department].mistakes.reduce((sum, mistake) => sum + wins(department, mistake, 40), 0) /
      SHOP_CURRICULUM[department].mistakes.length;
    expect(mean).toBeLessThan(0.4);
  });

  it("wants only what is offered, after slips too, and gets over them", () => {
    let won = 0;
    for (let i = 0; i < 50; i++) {
      const { steps, success } = play(DEPARTMENTS[i % 5]!, "right", i, { noise: 0.1 });
      for (const { observation, action } of steps) expect(offers(observation.actions!, action), action).toBe(true);
      if (success) won += 1;
    }
    expect(won).toBeGreaterThan(35);
  });

  it("makes the mistake that its strategy names", () => {
    const did = (department: Department, strategy: Strategy) => play(department, strategy, 1).steps.map(({ action }) => action);
    expect(did("fashion", "no_options")).toHaveLength(3);
    expect(did("fashion", "one_option")).toHaveLength(4);
    expect(did("fashion", "right")).toHaveLength(5);
    expect(did("electronics", "unchecked")).not.toContain("click[features]");
    expect(did("electronics", "reviews")).toContain("click[reviews]");
    expect(did("beauty", "short_query")[0]!.split(" ")).toHaveLength(2);
    expect(did("beauty", "right")[0]!.split(" ")).toHaveLength(4);
    for (const department of DEPARTMENTS) expect(did(department, "browse")).not.toContain("click[buy now]");
  });
});

describe("the shop's skills", () => {
  it("are read back from their line and told right from wrong", () => {
    const rng = new Rng(0);
    for (const department of DEPARTMENTS) {
      const right = skillFor(SHOP_CURRICULUM, department, rng);
      expect(compactShop.parseSkills(skillLine(right))).toEqual([{ ...right, title: right.condition }]);
      expect(lessons.isRight(department, right)).toBe(true);
      for (const mistake of SHOP_CURRICULUM[department].mistakes)
        expect(lessons.isRight(department, skillFor(SHOP_CURRICULUM, department, rng, mistake))).toBe(false);
      expect(lessons.isRight(department, irrelevantSkill(SHOP_CURRICULUM, department, rng))).toBe(false);
    }
    expect(() => skillFor(SHOP_CURRICULUM, "fashion", rng, "dearest")).toThrow(/no_options/);
  });
});

describe("the example stream", () => {
  const episode = (settings: ShopDataSettings, index: number) => episodeExamples(compactShop, settings, index, source);

  it("is the same for the same seed and another for another", () => {
    const take = (seed: number) => {
      const stream = shopExamples(compactShop, { ...SHOP_DATA, seed, shuffleBuffer: 64 }, source);
      return Array.from({ length: 200 }, () => stream.next().value);
    };
    expect(take(0)).toEqual(take(0));
    expect(take(0)).not.toEqual(take(1));
  });

  it("replies in the format, in few tokens' worth of text", () => {
    for (let i = 0; i < 60; i++) {
      for (const row of episode(SHOP_DATA, i)) {
        if (text(row).endsWith("skill?")) continue;
        expect(projectAction(row.reply).valid).toBe(true);
        expect(text(row).split(/\s+/).length).toBeLessThan(150);
      }
    }
  });

  it("shows no skill in plain rows, one or two in the others", () => {
    const lines = (row: Example) => text(row).match(/^skill: when .*$/gm)?.length ?? 0;
    for (let i = 0; i < 10; i++) {
      expect(episode(only({ plain: 1 }), i).every((row) => lines(row) === 0)).toBe(true);
      expect(episode(only({ right: 1 }, { beside: 0 }), i).every((row) => lines(row) === 1)).toBe(true);
      expect(episode(only({ bad: 1 }, { beside: 1 }), i).every((row) => lines(row) === 2)).toBe(true);
    }
  });

  it("writes the right skill of the department", () => {
    for (let i = 0; i < 20; i++) {
      for (const row of episode(only({ writing: 1 }), i)) {
        expect(text(row)).toMatch(/\nwon in \d+ steps\nskill\?$/);
        expect(lessons.isRight(DEPARTMENTS[i % 5]!, compactShop.parseSkills(row.reply)[0]!)).toBe(true);
      }
    }
  });

  it("wears a disguise from the episode on that is named: other words, the same page", () => {
    const words = Array.from(
      { length: 800 },
      (_, i) => `q${"abcdefghij"[Math.floor(i / 100)]}${"abcdefghij"[Math.floor(i / 10) % 10]}${"abcdefghij"[i % 10]}`,
    );
    const disguise = { words, numbers: [], kept: new Set(["search", "click", "page", "item", "results"]) };
    const settings = only({ right: 1 }, { disguise, disguiseFrom: 20 });
    const shape = (rows: readonly Example[]) => rows.map((row) => `${text(row)} ${row.reply}`.replace(/\p{L}+/gu, "w"));
    let renamed = 0;
    for (let i = 10; i < 30; i++) {
      const rows = episode(settings, i);
      const plain = episode(only({ right: 1 }), i);
      if (i < 20) {
        expect(rows).toEqual(plain);
        continue;
      }
      expect(shape(rows)).toEqual(shape(plain));
      for (const row of rows) {
        if (/\bq[a-j]{3}\b/.test(row.reply)) renamed++;
        const clicked = /click\[(.*)\]/.exec(row.reply)?.[1];
        if (clicked !== undefined) expect(text(row)).toContain(`[${clicked}]`);
      }
    }
    expect(renamed).toBeGreaterThan(10);
  });
});
