import { describe, expect, it } from "vitest";
import { readHtml } from "../../../test/webshop/html.js";
import { GOAL, tinyWorld } from "../../../test/webshop/tiny.js";
import { OBSERVATION_MODES, type ObservationMode, pageWithoutTask } from "./observation.js";
import { PythonRandom } from "./python/random.js";
import { strip } from "./python/text.js";
import { TextShop, type TextShopOptions } from "./text-shop.js";

const begin = (mode: ObservationMode, options: Partial<TextShopOptions> = {}): TextShop => {
  const shop = new TextShop(tinyWorld(), { mode, random: () => new PythonRandom(1), ...options });
  shop.reset(0);
  return shop;
};
const last = (shop: TextShop, ...actions: string[]): string => actions.map((action) => shop.step(action).observation).at(-1)!;
const HEAD = `Instruction: [SEP] ${GOAL.instructionText} [SEP] Back to Search [SEP] `;
const SHIRT = ["search[shirt]", "click[b000shirt0]"];

describe("text", () => {
  it("is all parts of a page in a row", () => {
    const shop = begin("text", { showAttributes: true });
    expect(shop.reset(0)).toBe(`WebShop [SEP] Instruction: [SEP] ${GOAL.instructionText} [SEP] Search`);
    expect(last(shop, "search[shirt]")).toBe(
      `${HEAD}Page 1 (Total results: 1) [SEP] Next > [SEP] B000SHIRT0 [SEP] shirt "A & B" <b>'s [SEP] $12.5`,
    );
    expect(last(shop, "click[b000shirt0]", "click[red]")).toBe(
      `${HEAD}< Prev [SEP] size [SEP] small [SEP] 52" wide [SEP] large [SEP] color [SEP] red [SEP] größer [SEP] it's [SEP] small [SEP] shirt "A & B" <b>'s ` +
        "[SEP] Price: $12.5 [SEP] Rating: N.A. [SEP] Description [SEP] Features [SEP] Reviews [SEP] Attributes [SEP] Buy Now",
    );
    expect(last(shop, "click[attributes]")).toBe(`${HEAD}< Prev [SEP] soft [SEP]  [SEP] fashion [SEP] men's shirts [SEP] Home › Things`);
    const done = last(shop, "click[< prev]", "click[it's]", "click[buy now]");
    expect(done).toContain(' [SEP] asin [SEP] B000SHIRT0 [SEP] options [SEP] {"color": "it\\u0027s"} [SEP] attrs [SEP] None [SEP] ');
    expect(done).toContain(" [SEP] Your score (min 0.0, max 1.0) [SEP] 1.0 [SEP] Reward Details [SEP] None");
  });

  it("keeps blanks alone as an empty part, unless a line feed is among them", () => {
    const shop = begin("text");
    // "", " \n", U+00A0 and "soft ".
    expect(last(shop, ...SHIRT, "click[features]")).toBe(`${HEAD}< Prev [SEP]  [SEP]  [SEP] soft`);
    expect(last(shop, "click[< prev]", "click[description]")).toBe(`${HEAD}< Prev`);
    expect(last(shop, "click[back to search]", "search[b000blank0]")).toBe(
      `${HEAD}Page 1 (Total results: 1) [SEP] Next > [SEP] B000BLANK0 [SEP]  [SEP] $12.5`,
    );
    expect(last(shop, "click[b000blank0]", "click[description]")).toBe(`${HEAD}< Prev`);
    expect(last(shop, "click[< prev]", "click[features]")).toBe(`${HEAD}< Prev [SEP] both ends [SEP] \ufeffkept\u200b [SEP] a\r\nb`);
  });

  it("stays the same when nothing can be done", () => {
    const shop = begin("text");
    const page = last(shop, "search[chair]");
    expect(last(shop, "click[buy now]")).toBe(page);
  });

  it("has as many earlier observations and actions in front as one asks for", () => {
    const shop = begin("text", { previousObservations: 1, previousActions: 2 });
    const [search, none, chair] = [begin("text").reset(0), last(begin("text"), "search[x]"), last(begin("text"), "search[chair]")];
    expect(last(shop, "search[x]")).toBe([search, "search[x]", none].join(" [SEP] "));
    expect(last(shop, "Nonsense")).toBe(["search[x]", none, "Nonsense", none].join(" [SEP] "));
    expect(last(shop, "search[chair]")).toBe(["Nonsense", none, "search[chair]", chair].join(" [SEP] "));
    expect(shop.reset(0)).toBe(search);
    expect(last(shop, "search[chair]")).toBe([search, "search[chair]", chair].join(" [SEP] "));
    expect(last(begin("text", { previousActions: 1 }), "search[chair]")).toBe(`search[chair] [SEP] ${chair}`);
  });
});

describe("text_rich", () => {
  it("marks buttons, products that were opened, and choices", () => {
    const shop = begin("text_rich");
    expect(shop.reset(0)).toBe(`WebShop\nInstruction: \n${GOAL.instructionText}\n[button] Search [button_]\n`);
    expect(last(shop, "search[shirt]")).toContain("\n[button] Next > [button_]\n\n[button] B000SHIRT0 [button_]\nshirt");
    const chosen = last(shop, "click[b000shirt0]", "click[red]", "click[large]");
    expect(chosen).toMatch(/^You have clicked red\.\nYou have clicked large\.\nInstruction:\n/);
    expect(chosen).toContain(
      '\nsize\n  [button] small [button_]\n  [button] 52" wide [button_]\n  [clicked button] large [clicked button_]\ncolor\n',
    );
    expect(last(shop, "click[< prev]")).toContain("\n\n[clicked button] B000SHIRT0 [clicked button_]\n");
    expect(last(shop, "click[back to search]", "search[shirt]")).toContain("\n\n[button] B000SHIRT0 [button_]\n");
    expect(last(shop, "click[b000shirt0]", "click[features]")).toContain("[button] < Prev [button_]\n \n \u00a0\n soft \n");
  });

  it("knows choices by their place in quotes in the address", () => {
    const shop = begin("text_rich");
    expect(last(shop, ...SHIRT, "click[größer]", 'click[52" wide]')).not.toContain("clicked");
    expect(last(shop, 'search["large" shirt]', "click[b000shirt0]")).toMatch(/^You have clicked large\.\n/);
    // One value in two groups is chosen in both, so it is told twice.
    expect(last(shop, "click[small]").match(/clicked small\.|\[clicked button\] small/g)).toHaveLength(4);
  });
});

describe("html", () => {
  it("reads as the other modes do, on every page", () => {
    const random = new PythonRandom(7);
    const seen = new Set<string>();
    for (const showAttributes of [false, true]) {
      const shops = Object.fromEntries(OBSERVATION_MODES.map((mode) => [mode, begin(mode, { showAttributes })])) as Record<
        ObservationMode,
        TextShop
      >;
      for (let step = 0; step < 400; step++) {
        const clickables = shops.html.available.clickables;
        const words = random.choice(["shirt", "chair", "lamp", 'b000blank0 <&"', "search_results shirt", "item_page shirt", "<q> things"]);
        const action = clickables.length < 2 || random.below(12) === 0 ? `search[${words}]` : `click[${random.choice(clickables)}]`;
        const [html, text, rich, url] = [shops.html, shops.text, shops.text_rich, shops.url].map(
          (shop) => shop.step(action).observation,
        ) as [string, string, string, string];
        const { runs, clickables: found } = readHtml(html);
        expect(runs.map((run) => strip(run.text)).join(" [SEP] "), action).toBe(text);
        expect(found, action).toEqual(shops.html.available.clickables);
        const marked = runs.map((run) => {
          if (run.tag === "button") return `[button] ${run.text} [button_]\n`;
          if (run.tag === "label")
            return url.includes(`"${run.text}"`)
              ? `  [clicked button] ${run.text} [clicked button_]\n`
              : `  [button] ${run.text} [button_]\n`;
          if (run.classes.includes("product-link"))
            return `\n[${shops.html.session.opened.has(run.text) ? "clicked " : ""}button] ${run.text} `;
          return `${run.text}\n`;
        });
        let at = 0;
        for (const part of marked) {
          const next = rich.indexOf(part, at);
          expect(next, `${JSON.stringify(part)} after ${action}`).toBeGreaterThanOrEqual(0);
          at = next + part.length;
        }
        seen.add(url.split("/")[3]! + (/\/(Description|Features|Reviews|Attributes)\//.exec(url)?.[1] ?? ""));
      }
    }
    expect([...seen].sort()).toEqual(
      [
        "0",
        "done",
        "item_page",
        ...["Attributes", "Description", "Features", "Reviews"].map((page) => `item_sub_page${page}`),
        "search_results",
      ].sort(),
    );
  });

  it("has addresses that lead back into the shop", () => {
    const shop = begin("html");
    const page = last(shop, "search[größer & <shirt> 100%+]", ...SHIRT.slice(1), "click[it's]");
    expect(page).toContain(
      'action="/?session_id=0&amp;asin=B000SHIRT0&amp;keywords=gr%C3%B6%C3%9Fer&amp;keywords=%26&amp;keywords=%3Cshirt%3E&amp;keywords=100%25%2B&amp;page=1' +
        '&amp;sub_page=Features&amp;options=%7B&#39;color&#39;%3A+%22it&#39;s%22%7D"',
    );
    expect(page).toContain('JSON.parse(`{"color": "it\\u0027s"}`)');
    expect(page).toContain(
      'JSON.parse(`{"it\\u0027s": "https://example.org/it\\u0027s.jpg", "red": "https://example.org/red.jpg", "small": null}`)',
    );
  });
});

describe("a page without the task", () => {
  it("is what stands behind it, in quotes", () => {
    const shop = begin("text");
    const page = (...actions: string[]) => pageWithoutTask(last(shop, ...actions), GOAL.instructionText);
    expect(pageWithoutTask(shop.reset(0), GOAL.instructionText)).toBe("'Search'");
    expect(page("search[x]")).toBe("'Back to Search' [SEP] 'Page 1 (Total results: 0)' [SEP] 'Next >'");
    expect(page(...SHIRT, "click[features]")).toBe("'Back to Search' [SEP] '< Prev' [SEP] '' [SEP] '' [SEP] 'soft'");
    expect(page("click[< prev]", "click[buy now]")).toMatch(/^Thank you for shopping with us! \[SEP\] Your code:/);
  });
});
