import { describe, expect, it } from "vitest";
import type { Observation } from "../env/environment.js";
import type { Episode, EpisodeSummary, SkillText } from "./agent.js";
import { compactShop, shortPrice, shortTitle } from "./compact-shop.js";
import { readShopPage } from "./shop-page.js";
import { ShopReading, tellingWords } from "./shop-reading.js";

const TASK = "find me a rain jacket with soft lining with color: red, and size: large, and price lower than 40.00 dollars";
const HEAD = `Instruction: [SEP] ${TASK} [SEP] Back to Search [SEP]`;
const skill: SkillText = { title: "clothes", condition: "clothes are wanted", strategy: "choose every option, then buy" };

function page(text: string, ...clickables: string[]): Observation {
  return { text, task: TASK, anchor: text, actions: clickables.map((name) => (name === "?" ? "search[<your query>]" : `click[${name}]`)) };
}

const SEARCH = page(`WebShop [SEP] Instruction: [SEP] ${TASK} [SEP] Search`, "?", "search");
const RESULTS = page(
  `${HEAD} Page 1 (Total results: 2) [SEP] Next > [SEP] S1734 [SEP] Alder Soft Lining Rain Jacket for Men and Women [SEP] $18.5 [SEP] S2211 [SEP] Brisk Hat [SEP] $10.01 to $55.0`,
  ...["back to search", "next >", "s1734", "s2211"],
);
const BUTTONS = ["back to search", "< prev", "description", "features", "reviews", "buy now"];
const ITEM = page(
  `${HEAD} < Prev [SEP] color [SEP] red [SEP] dark blue [SEP] size [SEP] small [SEP] large [SEP] Alder Soft Lining Rain Jacket [SEP] Price: $18.5 [SEP] Rating: N.A. [SEP] Description [SEP] Features [SEP] Reviews [SEP] Buy Now`,
  ...BUTTONS,
  ...["red", "dark blue", "small", "large"],
);
const FEATURES = page(`${HEAD} < Prev [SEP] a gift for friends [SEP] Soft Lining inside`, "back to search", "< prev");
const REVIEWS = page(`${HEAD} < Prev`, "back to search", "< prev");
const DONE = page("Thank you for shopping with us! [SEP] Your code: [SEP] None");

const shown = (episode: Episode, skills: readonly SkillText[] = []): string => episode.prompt(skills)[0]!.content;

function walk(...steps: readonly (readonly [action: string, next: Observation])[]): Episode {
  const episode = compactShop.begin(SEARCH, { historyLength: 2 });
  for (const [action, next] of steps) episode.record(action, true, next);
  return episode;
}

describe("readShopPage", () => {
  it("tells the pages apart", () => {
    expect(readShopPage(SEARCH)).toEqual({ kind: "search" });
    expect(readShopPage(RESULTS)).toMatchObject({
      kind: "results",
      number: 1,
      items: [
        { asin: "s1734", price: "$18.5" },
        { asin: "s2211", title: "Brisk Hat" },
      ],
    });
    expect(readShopPage(ITEM)).toEqual({
      kind: "item",
      title: "Alder Soft Lining Rain Jacket",
      price: "$18.5",
      groups: [
        { name: "color", values: ["red", "dark blue"] },
        { name: "size", values: ["small", "large"] },
      ],
    });
    expect(readShopPage(FEATURES)).toEqual({ kind: "detail", texts: ["a gift for friends", "Soft Lining inside"] });
    expect(readShopPage(REVIEWS)).toEqual({ kind: "detail", texts: [] });
    expect(readShopPage(DONE)).toMatchObject({ kind: "other" });
  });

  it("reads results without products, later pages and items without options", () => {
    const later = `${HEAD} Page 7 (Total results: 0) [SEP] < Prev [SEP] Next >`;
    expect(readShopPage(page(later))).toEqual({ kind: "results", number: 7, items: [] });
    const bare = `${HEAD} < Prev [SEP] A Thing [SEP] Price: $1.0 [SEP] Rating: N.A. [SEP] Description [SEP] Features [SEP] Reviews [SEP] Buy Now`;
    expect(readShopPage(page(bare, ...BUTTONS))).toEqual({ kind: "item", title: "A Thing", price: "$1.0", groups: [] });
  });
});

describe("compact-shop", () => {
  it("shows task, page and what can be done", () => {
    expect(shown(walk())).toBe(`task: ${TASK}\npage: search\ncan: [search]`);
    expect(shown(walk(["search[rain jacket]", RESULTS]), [skill])).toBe(
      `task: ${TASK}\nskill: when clothes are wanted: choose every option, then buy\nsearched: rain jacket\ndid: search[rain jacket]\n` +
        "page: results 1\nalder soft lining rain jacket $19 [s1734]\nbrisk hat $11-55 [s2211]\ncan: [back to search] [next >]",
    );
  });

  it("keeps the agent's own choices, which the page does not show, until it leaves the product list", () => {
    const choosing = [
      ["search[rain jacket]", RESULTS],
      ["click[s1734]", ITEM],
      ["click[dark blue]", ITEM],
      ["click[red]", ITEM],
    ] as const;
    const item =
      "page: item s1734 alder soft lining rain jacket $19\ncolor: [red] [dark blue] chosen red\nsize: [small] [large]\n" +
      "can: [back to search] [< prev] [description] [features] [reviews] [buy now]";
    expect(shown(walk(...choosing))).toBe(`task: ${TASK}\nsearched: rain jacket\ndid: click[dark blue]; click[red]\n${item}`);
    expect(shown(walk(...choosing, ["click[features]", FEATURES], ["click[< prev]", ITEM]))).toContain("chosen red");
    expect(shown(walk(...choosing, ["click[< prev]", RESULTS], ["click[s1734]", ITEM]))).not.toContain("chosen");
  });

  it("notes where it read words of the task", () => {
    const read = [
      ["search[rain jacket]", RESULTS],
      ["click[s1734]", ITEM],
      ["click[features]", FEATURES],
    ] as const;
    expect(shown(walk(...read))).toContain("page: features of s1734\na gift for friends ; soft lining inside\n");
    const back = walk(...read, ["click[< prev]", ITEM], ["click[reviews]", REVIEWS], ["click[< prev]", ITEM], ["click[< prev]", RESULTS]);
    expect(shown(back)).toContain("alder soft lining rain jacket $19 seen features ( soft lining ) reviews ( ) [s1734]\nbrisk hat");
  });

  it("says when an action led nowhere, and cuts long ones", () => {
    const query = "word ".repeat(20).trim();
    const text = shown(walk([`search[${query}]`, RESULTS], ["click[s9999]", RESULTS]));
    expect(text).toMatch(/\ndid: search\[[a-z ]+\.\.\.; click\[s9999\] \(nothing happened\)\n/);
    expect(text.length).toBeLessThan(500);
  });

  it("folds long groups to the values nearest to the task, and long texts to the pieces with words of it", () => {
    const values = [...Array.from({ length: 30 }, (_, i) => `shade ${i}`), "dark red", "red"];
    const text = `${HEAD} < Prev [SEP] color [SEP] ${values.join(" [SEP] ")} [SEP] T [SEP] Price: $1.0 [SEP] Rating: N.A. [SEP] Description [SEP] Buy Now`;
    const item = shown(walk(["search[x]", RESULTS], ["click[s1734]", page(text, "buy now", ...values)]));
    expect(item).toContain("\ncolor: [shade 0] [shade 1] [shade 2] [shade 3] [dark red] [red] and 26 more\n");
    const long = `${"Some words that say nothing at all. ".repeat(30)}It has a soft lining. ${"More of them. ".repeat(30)}`;
    const detail = shown(
      walk(["search[x]", RESULTS], ["click[s1734]", ITEM], ["click[description]", page(`${HEAD} < Prev [SEP] ${long}`)]),
    );
    expect(detail).toContain("it has a soft lining.");
    expect(detail.split(/\s+/).length).toBeLessThan(90);
  });

  it("cuts titles to their head and the words of the task, and rounds prices up", () => {
    const wanted = new Set(tellingWords(TASK));
    expect(shortTitle("ACME Big Blue Thing with extra Soft, soft Linings (Pack of 2)", wanted)).toBe("acme big blue soft linings");
    expect(shortPrice("$40.0")).toBe("$40");
    expect(shortPrice("$40.01")).toBe("$41");
    expect(shortPrice("$10.52 to $40.5")).toBe("$11-41");
  });

  it("has the projection of WebShop", () => {
    expect(compactShop.parse("<think>x</think><action>Click[Red]</action>")).toMatchObject({ action: "click[red]", valid: true });
    expect(compactShop.parse("I will search for red shoes")).toMatchObject({ action: "search for red shoes", valid: false });
  });

  it("asks for a skill with the actions that did something, choices included", () => {
    const of = (observation: Observation, action: string) => ({
      observation: { text: observation.text, task: TASK, anchor: "" },
      action,
      valid: true,
    });
    const episode: EpisodeSummary = {
      task: TASK,
      taskType: "fashion",
      success: true,
      steps: [
        of(SEARCH, "search[rain]"),
        of(RESULTS, "click[s9]"),
        of(RESULTS, "click[s1734]"),
        of(ITEM, "click[red]"),
        of(ITEM, "click[buy now]"),
      ],
    };
    expect(compactShop.skillPrompt(episode)[0]!.content).toBe(
      `task: ${TASK}\ndid: search[rain]; click[s1734]; click[red]; click[buy now]\nwon in 5 steps\nskill?`,
    );
    expect(compactShop.parseSkills("when clothes are wanted: choose every option, then buy")).toHaveLength(1);
  });
});

describe("ShopReading", () => {
  it("gives a value that stands in two groups to the last of them", () => {
    const item = page(
      `${HEAD} < Prev [SEP] top [SEP] red [SEP] bottom [SEP] red [SEP] T [SEP] Price: $1.0 [SEP] Rating: N.A. [SEP] Description [SEP] Buy Now`,
      ...["buy now", "red"],
    );
    const reading = new ShopReading(item);
    reading.read("click[red]", item.text, item);
    expect([...reading.chosen]).toEqual([["bottom", "red"]]);
    expect(reading.idle).toBe(false);
  });

  it("wants what the task names, not the frame of its sentence", () => {
    expect([...new ShopReading(SEARCH).wanted]).toEqual(["rain", "jacket", "soft", "lining", "color", "red", "size", "large"]);
  });
});
