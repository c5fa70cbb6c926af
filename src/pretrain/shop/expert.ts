/**
 * The scripted customer. It sees pages and its own actions alone, in the very form in which the compact prompt keeps them. With the
 * strategy `right` it searches for all that is wanted, opens the candidate whose title says most of it below the price limit, goes back
 * when a wanted option is not offered (in electronics: when the features do not tell what is wanted), chooses every option and buys. With
 * another strategy it makes that mistake. Knows no engine and no hidden state.
 */

import { shortPrice, shortTitle } from "../../agent/compact-shop.js";
import type { ShopGroup, ShopItem, ShopPage } from "../../agent/shop-page.js";
import { ShopReading, tellingWords } from "../../agent/shop-reading.js";
import type { Observation } from "../../env/environment.js";
import type { Rng } from "../../env/household/rng.js";
import type { Strategy } from "./strategies.js";
import { lowestPrice, readWish, type Wish } from "./wish.js";

export interface Decision {
  readonly action: string;
  /** The sub-goal in few words. */
  readonly think: string;
}

export interface ShopExpertOptions {
  readonly rng: Rng;
  /** Default `right`. */
  readonly strategy?: Strategy;
  /** Wanted properties stand among the features only: read them before buying. Default false. */
  readonly readsFeatures?: boolean;
  /** Searches for the wanted options, too, and takes the candidates in the order of the results. Default false. */
  readonly searchesOptions?: boolean;
  /** Probability that another product than the best candidate is opened. Default 0. */
  readonly sloppiness?: number;
}

/** Mistakes that take what comes first, whatever it costs. */
const FIRST_HIT: ReadonlySet<Strategy> = new Set(["first_hit", "unchecked", "reviews"]);

const PREVIOUS: Pick<Decision, "action"> = { action: "click[< prev]" };
const NEXT = "click[next >]";
/** Pages of results that are looked through. */
const MOST_PAGES = 3;

export class ShopExpert {
  readonly reading: ShopReading;
  readonly wish: Wish;
  readonly #rng: Rng;
  readonly #strategy: Strategy;
  readonly #readsFeatures: boolean;
  readonly #searchesOptions: boolean;
  readonly #sloppiness: number;
  #now: Observation;

  constructor(
    first: Observation,
    { rng, strategy = "right", readsFeatures = false, searchesOptions = false, sloppiness = 0 }: ShopExpertOptions,
  ) {
    this.#rng = rng;
    this.#strategy = strategy;
    this.#readsFeatures = readsFeatures && strategy === "right";
    this.#searchesOptions = searchesOptions;
    this.#sloppiness = sloppiness;
    this.#now = first;
    this.reading = new ShopReading(first);
    this.wish = readWish(first.task);
  }

  /** Takes what was executed and what it led to. */
  read(action: string, next: Observation): void {
    this.reading.read(action, this.#now.text, next);
    this.#now = next;
  }

  /** What to do now: always something that is offered. */
  decide(): Decision {
    const { page } = this.reading;
    if (this.#strategy === "browse" && page.kind !== "search" && page.kind !== "other") return this.#browse();
    switch (page.kind) {
      case "results":
        return this.#choose(page.items, page.number);
      case "item":
        return this.#handle(page);
      case "detail":
        return { ...PREVIOUS, think: this.#readsFeatures ? (this.#tells() ? "it has it" : "not there") : "go back" };
      default:
        return this.#search();
    }
  }

  #search(): Decision {
    const { thing, properties, options } = this.wish;
    const short = this.#strategy === "short_query";
    const words = short ? thing : [...thing, ...properties, ...(this.#searchesOptions ? options.values() : [])];
    return {
      action: `search[${words.join(" ")}]`,
      think: short ? "search the thing" : "search all words",
    };
  }

  #choose(items: readonly ShopItem[], number: number): Decision {
    const open = ({ asin, title, price }: ShopItem, reason: string): Decision => ({
      action: `click[${asin}]`,
      // What tells it from the others on the page: the number is spelt out once the choice is made.
      think: `${reason} ${shortTitle(title, new Set()).split(" ")[0]} ${shortPrice(price)}`,
    });
    if (items.length > 0 && this.#rng.chance(this.#sloppiness)) return open(this.#rng.pick(items), "any");
    const related = items.filter(({ title }) => this.#overlap(title) > 0);
    const unseen = related.filter(({ asin }) => !this.reading.findings(asin));
    if (unseen[0] && FIRST_HIT.has(this.#strategy)) return open(unseen[0], "the first");
    if (this.#strategy === "dearest" && unseen[0]) {
      const dearest = unseen.reduce((a, b) => (lowestPrice(b.price) > lowestPrice(a.price) ? b : a));
      return open(dearest, "the dearest");
    }
    const good = items.find(({ asin }) => this.#readsFeatures && this.#tells(asin));
    if (good) return open(good, "it has it");
    const affordable = unseen.filter(({ price }) => lowestPrice(price) <= this.wish.limit);
    if (affordable[0]) {
      const best = this.#searchesOptions
        ? affordable[0]
        : affordable.reduce((a, b) => (this.#overlap(b.title) > this.#overlap(a.title) ? b : a));
      return open(best, "below limit");
    }
    return number < MOST_PAGES && items.length > 0
      ? { action: NEXT, think: "next page" }
      : { action: "click[back to search]", think: "search again" };
  }

  #handle({ groups }: Extract<ShopPage, { kind: "item" }>): Decision {
    const { options } = this.wish;
    const strategy = this.#strategy;
    if (this.#readsFeatures) {
      const read = this.reading.findings(this.reading.asin);
      if (!read?.has("features")) return { action: "click[features]", think: "read features" };
      if (!this.#tells()) return { ...PREVIOUS, think: "try another" };
    }
    if (strategy === "reviews" && !this.reading.findings(this.reading.asin)?.has("reviews")) {
      return { action: "click[reviews]", think: "read reviews" };
    }
    const wanted = strategy === "no_options" ? [] : [...options].slice(0, strategy === "one_option" ? 1 : options.size);
    for (const [name, value] of wanted) {
      const offered = offers(groups, name, value);
      if (offered === undefined && strategy === "another_value") {
        const group = groups.find((candidate) => candidate.name === name);
        if (group && group.values.length > 0 && !this.reading.chosen.has(name)) {
          return { action: `click[${this.#rng.pick(group.values)}]`, think: "take another" };
        }
      } else if (offered === undefined && strategy === "right") return { ...PREVIOUS, think: `no ${value}` };
      else if (offered !== undefined && this.reading.chosen.get(offered.name) !== value)
        return { action: `click[${value}]`, think: `choose ${name}` };
    }
    return { action: "click[buy now]", think: "buy it" };
  }

  /** Turns pages, opens what comes first, reads about it, leaves it. */
  #browse(): Decision {
    const { page } = this.reading;
    const think = "look around";
    if (page.kind === "results") {
      const first = page.items[0];
      return first && this.#rng.chance(0.4) ? { action: `click[${first.asin}]`, think } : { action: NEXT, think };
    }
    if (page.kind !== "item") return { ...PREVIOUS, think };
    return { action: `click[${this.#rng.pick(["description", "features", "reviews", "< prev"])}]`, think };
  }

  /** Wanted words in a title; options are not told in titles. */
  #overlap(title: string): number {
    const words = new Set(tellingWords(title));
    return tellingWords([...this.wish.thing, ...this.wish.properties].join(" ")).filter((word) => words.has(word)).length;
  }

  /** Whether the features of a product, once read, tell all it should have. */
  #tells(asin = this.reading.asin): boolean {
    const there = this.reading.findings(asin)?.get("features");
    return there !== undefined && tellingWords(this.wish.properties.join(" ")).every((word) => there.includes(word));
  }
}

/** The group that offers a value, the one of that name before others. */
function offers(groups: readonly ShopGroup[], name: string, value: string): ShopGroup | undefined {
  return groups.find((group) => group.name === name && group.values.includes(value)) ?? groups.find(({ values }) => values.includes(value));
}
