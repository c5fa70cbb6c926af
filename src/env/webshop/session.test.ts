import { describe, expect, it } from "vitest";
import { product, tinyWorld } from "../../../test/webshop/tiny.js";
import { PythonRandom } from "./python/random.js";
import { resultFinder } from "./results.js";
import { TextShop, type TextShopOptions } from "./text-shop.js";
import type { Catalogue } from "./types.js";

const begin = (options: Partial<TextShopOptions> = {}): TextShop => {
  const shop = new TextShop(tinyWorld(), { mode: "text", random: () => new PythonRandom(1), ...options });
  shop.reset(0);
  return shop;
};
/** Does all actions; the address without its host. */
const play = (shop: TextShop, ...actions: string[]): string => {
  for (const action of actions) shop.step(action);
  return shop.session.url.replace("http://127.0.0.1:3000", "");
};
const clickables = (shop: TextShop) => shop.available.clickables;

describe("pages", () => {
  it("lead from the search to a purchase", () => {
    const shop = begin();
    expect(play(shop)).toBe("/0");
    expect(shop.available).toEqual({ hasSearchBar: true, clickables: ["search"] });
    expect(play(shop, "search[a shirt]")).toBe("/search_results/0/a+shirt/1");
    expect(shop.available).toEqual({ hasSearchBar: false, clickables: ["back to search", "next >", "b000shirt0"] });
    expect(play(shop, "click[b000shirt0]")).toBe("/item_page/0/B000SHIRT0/a+shirt/1/{}");
    expect(play(shop, "click[red]", "click[large]")).toBe('/item_page/0/B000SHIRT0/a+shirt/1/{"color": "red", "size": "large"}');
    expect(play(shop, "click[Features]")).toBe("/item_sub_page/0/B000SHIRT0/a+shirt/1/Features/{'color': 'red', 'size': 'large'}");
    expect(clickables(shop)).toEqual(["back to search", "< prev"]);
    expect(play(shop, "click[< prev]")).toBe('/item_page/0/B000SHIRT0/a+shirt/1/{"color": "red", "size": "large"}');
    const { reward, done, purchase } = shop.step("click[buy now]");
    expect([reward, done, purchase?.info.query_match]).toEqual([1, true, true]);
    expect(play(shop)).toBe("/done/0/B000SHIRT0/{'color': 'red', 'size': 'large'}");
    expect(shop.available).toEqual({ hasSearchBar: false, clickables: [] });
  });

  it("hold ten products each, and there is always a next one", () => {
    const shop = begin();
    play(shop, "search[chair]");
    expect(clickables(shop)).toHaveLength(12);
    play(shop, "click[next >]");
    expect(clickables(shop)).toEqual(["back to search", "< prev", "next >", "b000000010", "b000000011"]);
    expect(play(shop, "click[next >]")).toBe("/search_results/0/chair/3");
    expect(clickables(shop)).toEqual(["back to search", "< prev", "next >"]);
    expect(play(shop, "click[< prev]", "click[< prev]")).toBe("/search_results/0/chair/1");
    expect(shop.step("click[< prev]")).toMatchObject({ reward: 0, done: false });
    expect(play(shop)).toBe("/search_results/0/chair/1");
  });

  it("are left only by what stands on them", () => {
    const shop = begin();
    for (const action of ["click[next >]", "click[search]", "click[buy now]", "look", "", "click[]", "Search[chair]"]) {
      expect(play(shop, action)).toBe("/0");
    }
    play(shop, "search[chair]");
    for (const action of ["click[b000shirt0]", "click[buy now]", "click[search]", "click[description]"]) {
      expect(play(shop, action)).toBe("/search_results/0/chair/1");
    }
  });

  it("let one search everywhere, after a purchase too", () => {
    const shop = begin();
    play(shop, "search[shirt]", "click[b000shirt0]", "click[red]");
    expect(play(shop, "search[chair]")).toBe("/search_results/0/chair/1");
    expect(shop.session.choices.size).toBe(0);
    play(shop, "click[b000000000]", "click[description]");
    expect(play(shop, "search[lamp]")).toBe("/search_results/0/lamp/1");
    play(shop, "click[b000names0]", "click[buy now]");
    expect(play(shop, "click[back to search]")).toBe("/done/0/B000NAMES0/{}");
    expect(play(shop, "search[chair]")).toBe("/search_results/0/chair/1");
  });

  it("keep a choice until the results are shown again", () => {
    const shop = begin();
    play(shop, "search[shirt chair]", "click[next >]", "click[b000shirt0]", "click[red]");
    expect(play(shop, "click[< prev]")).toBe("/search_results/0/shirt+chair/2");
    expect(play(shop, "click[b000shirt0]")).toBe("/item_page/0/B000SHIRT0/shirt+chair/2/{}");
    play(shop, "click[it's]");
    expect(play(shop, "click[reviews]")).toBe("/item_sub_page/0/B000SHIRT0/shirt+chair/2/Reviews/{'color': \"it's\"}");
    expect(play(shop, "click[back to search]")).toBe("/0");
    expect(shop.session.choices.size).toBe(0);
  });

  it("offer attributes only where they are asked for", () => {
    const [without, having] = [begin(), begin({ showAttributes: true })];
    for (const shop of [without, having]) play(shop, "search[lamp]", "click[b000names0]", "click[attributes]");
    expect(play(without)).toBe("/item_page/0/B000NAMES0/lamp/1/{}");
    expect(play(having)).toBe("/item_sub_page/0/B000NAMES0/lamp/1/Attributes/{}");
  });
});

describe("what looks alike", () => {
  it("a value of two groups belongs to the last one, at the place of the first", () => {
    const shop = begin();
    expect(play(shop, "search[shirt]", "click[b000shirt0]", "click[small]")).toBe('/item_page/0/B000SHIRT0/shirt/1/{"color": "small"}');
    expect(clickables(shop).slice(6)).toEqual(["small", '52" wide', "large", "red", "größer", "it's"]);
  });

  it("an option that is called like a button works as the button", () => {
    const shop = begin();
    play(shop, "search[lamp]", "click[b000names0]");
    expect(clickables(shop)).toEqual([
      "back to search",
      "< prev",
      "description",
      "features",
      "reviews",
      "buy now",
      "next >",
      "search",
      "7",
      "11",
      "  two  blanks ",
    ]);
    expect(play(shop, "click[next >]")).toBe('/item_page/0/B000NAMES0/lamp/1/{"kind": "next >"}');
    expect(play(shop, "click[  two  blanks ]")).toBe('/item_page/0/B000NAMES0/lamp/1/{"kind": "  two  blanks "}');
    expect(play(shop, "click[search]")).toBe('/item_page/0/B000NAMES0/lamp/1/{"kind": "  two  blanks "}');
    expect(play(shop, "click[reviews]")).toBe("/item_sub_page/0/B000NAMES0/lamp/1/Reviews/{'kind': '  two  blanks '}");
  });

  it("words of the search can be taken for the kind of a page", () => {
    const shop = begin();
    play(shop, "search[search_results lamp]", "click[b000names0]");
    // One page back from page 1 instead of to it.
    expect(play(shop, "click[< prev]")).toBe("/search_results/0/search_results+lamp/0");
    expect(clickables(shop)).toEqual(["back to search", "next >"]);
    expect(shop.step("look").observation).toContain("Page 0 (Total results: 1) [SEP] Next >");
    expect(play(shop, "click[next >]", "click[b000names0]")).toBe("/item_page/0/B000NAMES0/search_results+lamp/1/{}");
    expect(play(shop, "click[next >]")).toBe("/search_results/0/search_results+lamp/2");
    play(shop, "search[item_page lamp]", "click[b000names0]", "click[description]");
    expect(play(shop, "click[< prev]")).toBe("/search_results/0/item_page+lamp/1");
  });
});

describe("special words", () => {
  const results = (shop: TextShop, query: string) => {
    shop.step(`search[${query}]`);
    const { page } = shop.session;
    return page.kind === "results" ? [page.total, page.items.map((item) => item.asin)] : undefined;
  };

  it("<c> and <q> list products by category and by query", () => {
    const shop = begin();
    expect(results(shop, "<c> fashion and more")).toEqual([1, ["B000SHIRT0"]]);
    expect(results(shop, "<q> men's shirts")).toEqual([1, ["B000SHIRT0"]]);
    expect(results(shop, "<c> garden")?.[0]).toBe(14);
    for (const nothing of ["<c>", "<c>  garden", "<q>", "<q> shirts", "<a> soft", "<a>"]) expect(results(shop, nothing)).toEqual([0, []]);
  });

  it("<r> draws other products at every look, as Python would", () => {
    const catalogue: Catalogue = {
      length: 85,
      product: (index) => product(`B${index}`),
      find: () => undefined,
      search: () => [],
      inCategory: () => [],
      withQuery: () => [],
    };
    const random = new PythonRandom(233);
    const shop = new TextShop({ ...tinyWorld(), catalogue, find: resultFinder(catalogue) }, { mode: "text", random: () => random });
    shop.reset(0);
    const twin = new PythonRandom(233);
    const draw = (first: number) =>
      twin
        .sample(85, 50)
        .slice(first, first + 10)
        .map((index) => `B${index}`);
    expect(results(shop, "<r>")).toEqual([50, draw(0)]);
    shop.step("click[next >]");
    expect(clickables(shop).slice(3)).toEqual(draw(10).map((asin) => asin.toLowerCase()));
    const small = begin();
    expect(results(small, "<r> anything")?.[0]).toBe(15);
  });
});

describe("sessions", () => {
  it("by number have that goal; a name that is known keeps its own", () => {
    const shop = begin();
    expect(shop.reset(1)).toBe("WebShop [SEP] Instruction: [SEP] Find me another [SEP] Search");
    expect(play(shop)).toBe("/1");
    const random = new PythonRandom(5);
    const other = new TextShop(tinyWorld(), { mode: "text", random: () => random });
    const first = Array.from({ length: 8 }, (_, i) => other.reset(`name${i}`));
    expect(new Set(first).size).toBe(2);
    expect(first.map((_, i) => other.reset(`name${i}`))).toEqual(first);
    other.reset();
    expect(play(other)).toMatch(/^\/[a-z]{10}$/);
    expect(() => shop.reset(2)).toThrow("no goal 2");
    expect(shop.session.id).toBe("1");
  });

  it("have to begin", () => {
    const shop = new TextShop(tinyWorld(), { mode: "text", random: () => new PythonRandom(1) });
    expect(() => shop.step("search[a]")).toThrowError(expect.objectContaining({ code: "NOT_RESET" }));
  });

  it("begin anew after a purchase in verl-agent's way", () => {
    const random = new PythonRandom(3);
    const shop = begin({ resetAfterPurchase: true, random: () => random });
    play(shop, "search[shirt]", "click[b000shirt0]");
    const twin = new PythonRandom(3);
    const { observation, reward, done } = shop.step("click[buy now]");
    expect([observation.slice(0, 31), reward, done]).toEqual(["Thank you for shopping with us!", 1, true]);
    expect(shop.available).toEqual({ hasSearchBar: true, clickables: ["search"] });
    expect(play(shop)).toBe(`/${twin.choices("abcdefghijklmnopqrstuvwxyz", 10).join("")}`);
    twin.below(2);
    expect(random.random()).toBe(twin.random());
  });
});
