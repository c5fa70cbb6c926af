/**
 * What an agent remembers of a shopping episode: what it searched for, which product is open, which options it clicked (the shop's text
 * does not show them), and where it read words of the task. Everything comes from pages and from the agent's own actions.
 */
import type { Observation } from "../env/environment.js";
import { clicked, readShopPage, type ShopPage } from "./shop-page.js";

/** What was read about a product, by the button that led there: words of the task that stand there. */
export type Findings = ReadonlyMap<string, readonly string[]>;

/** Words that say nothing about what is wanted. */
const COMMON = new Set(
  "a an and are as at be by find for from have i in is it lower looking me need of on or price than that the to want with would like dollars am".split(
    " ",
  ),
);

/** Words of a text in lower case, those that tell nothing left out. */
export function plainWords(text: string): string[] {
  return (text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []).filter((word) => !COMMON.has(word));
}

/** The same in the form in which they are compared: plural endings cut. */
export function tellingWords(text: string): string[] {
  return plainWords(text).map(singular);
}

function singular(word: string): string {
  return word.length > 3 && word.endsWith("s") && !word.endsWith("ss") ? word.slice(0, -1) : word;
}

export class ShopReading {
  /** Of the task, in its order, each once. */
  readonly wanted: ReadonlySet<string>;
  page: ShopPage;
  /** Words of the last search; empty before the first. */
  searched = "";
  /** ASIN of the open product, lower case; empty on other pages. */
  asin = "";
  /** Sub page that is open (`features`); empty elsewhere. */
  detail = "";
  /** Whether the last action led nowhere. */
  idle = false;
  readonly #chosen = new Map<string, string>();
  readonly #findings = new Map<string, Map<string, readonly string[]>>();

  constructor(first: Observation) {
    this.wanted = new Set(tellingWords(first.task.replace(/,? and price lower than [\d.]+ dollars/, "")));
    this.page = readShopPage(first);
  }

  /** Option group to the value that was clicked last, since the product list was left. */
  get chosen(): ReadonlyMap<string, string> {
    return this.#chosen;
  }

  /** What was read of a product; undefined when it was never opened. */
  findings(asin: string): Findings | undefined {
    return this.#findings.get(asin);
  }

  /** Takes an executed action and the observation it led to. */
  read(action: string, before: string, next: Observation): void {
    const from = this.page;
    const target = clicked(action);
    this.page = readShopPage(next);
    this.searched = /^search\[(.+)\]$/s.exec(action)?.[1] ?? this.searched;
    this.idle = next.text === before && !this.#choose(from, target);
    if (this.idle) return;
    switch (this.page.kind) {
      case "item":
        if (from.kind === "results" && target !== null) this.#open(target);
        this.detail = "";
        break;
      case "detail":
        this.detail = target ?? this.detail;
        this.#note(this.page.texts.join(" "));
        break;
      default:
        this.asin = "";
        this.detail = "";
        this.#chosen.clear();
    }
  }

  #open(asin: string): void {
    this.asin = asin;
    if (!this.#findings.has(asin)) this.#findings.set(asin, new Map());
  }

  #note(text: string): void {
    const there = new Set(tellingWords(text));
    this.#findings.get(this.asin)?.set(
      this.detail,
      [...this.wanted].filter((word) => there.has(word)),
    );
  }

  /** A value that stands in two groups belongs to the last of them. @returns whether an option was clicked */
  #choose(from: ShopPage, target: string | null): boolean {
    if (from.kind !== "item" || target === null) return false;
    const group = from.groups.findLast(({ values }) => values.includes(target.trim()));
    if (group) this.#chosen.set(group.name, target.trim());
    return group !== undefined;
  }
}
