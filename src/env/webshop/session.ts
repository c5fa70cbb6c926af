/**
 * One customer with one goal: what was searched for, which product is open, what was chosen, and where a click leads. The rules are
 * WebShop's, odd ones included. Knows no way to show a page and no episode.
 */
import { clickablesOf, nodesOf, type Page, type PageNode, RESULTS_PER_PAGE, SUB_PAGES, type SubPage, urlOf } from "./page.js";
import type { Catalogue, Goal, Product, Reward } from "./types.js";

/** What a session needs of the shop. */
export interface Counter {
  readonly catalogue: Catalogue;
  readonly showAttributes: boolean;
  /** Positions of the products for the words of a query. */
  find(keywords: readonly string[]): readonly number[];
  /** What buying `product` with these choices is worth for `goal`. */
  reward(product: Product, choices: ReadonlyMap<string, string>, goal: Goal): Reward;
}

const PAGE_WORDS = ["search_results", "item_page", "item_sub_page", "done"] as const;

const SUB_PAGE_OF: ReadonlyMap<string, SubPage> = new Map(SUB_PAGES.map((name) => [name.toLowerCase(), name]));

export class Session {
  readonly #counter: Counter;
  readonly #opened = new Set<string>();
  #choices = new Map<string, string>();
  #keywords: readonly string[] = [];
  #resultsPage = 1;
  #page: Page = { kind: "search" };
  #nodes: readonly PageNode[] | undefined;
  #clickables: ReadonlyMap<string, PageNode> | undefined;
  #url: string | undefined;

  constructor(
    counter: Counter,
    readonly id: string,
    readonly goal: Goal,
  ) {
    this.#counter = counter;
  }

  get page(): Page {
    return this.#page;
  }

  get nodes(): readonly PageNode[] {
    this.#nodes ??= nodesOf(this.#page, this.goal.instructionText, this.#counter.showAttributes);
    return this.#nodes;
  }

  /** By lower-case text, in the order of the page's source. */
  get clickables(): ReadonlyMap<string, PageNode> {
    this.#clickables ??= clickablesOf(this.nodes);
    return this.#clickables;
  }

  get url(): string {
    this.#url ??= urlOf(this.#page, this);
    return this.#url;
  }

  get keywords(): readonly string[] {
    return this.#keywords;
  }

  /** Number of the last page of results. */
  get resultsPage(): number {
    return this.#resultsPage;
  }

  /** Option group to value, in the order of the first choice. */
  get choices(): ReadonlyMap<string, string> {
    return this.#choices;
  }

  /** ASINs opened since the customer last stood on the search page. */
  get opened(): ReadonlySet<string> {
    return this.#opened;
  }

  /** Possible on every page, also where there is no search bar. @param words lower case; single blanks part them */
  search(words: string): void {
    this.#keywords = words.split(" ");
    this.#showResults(1);
  }

  /**
   * Clicks on one of `clickables`. The shop goes by the name before it looks at what was clicked, so an option that is called like a
   * button works as the button.
   * @returns the reward when this bought a product, otherwise undefined
   */
  click(name: string): Reward | undefined {
    const target = this.clickables.get(name);
    const page = this.#page;
    if (!target || page.kind === "done") return undefined;
    const kind = PAGE_WORDS.find((word) => this.url.includes(word));
    const subPage = SUB_PAGE_OF.get(name);
    if (name === "back to search") this.#startOver();
    else if (name === "next >" && kind === "search_results") this.#showResults(this.#resultsPage + 1);
    else if (page.kind === "search") return undefined;
    else if (name === "< prev" && kind === "search_results") this.#showResults(this.#resultsPage - 1);
    else if (page.kind === "results") this.#open(target.text);
    else if (name === "buy now") return this.#buy(page.product);
    // The kind of a page is read off its address, where words of the query can be mistaken for it.
    else if (name === "< prev" && kind === "item_page") this.#showResults(this.#resultsPage);
    else if (name === "< prev") this.#show({ kind: "item", product: page.product });
    else if (subPage) this.#show({ kind: "sub", product: page.product, name: subPage });
    else {
      this.#choices.set(target.group!, name);
      this.#show({ kind: "item", product: page.product });
    }
    return undefined;
  }

  #show(page: Page): void {
    this.#page = page;
    this.#nodes = undefined;
    this.#clickables = undefined;
    this.#url = undefined;
  }

  #startOver(): void {
    this.#choices.clear();
    this.#opened.clear();
    this.#keywords = [];
    this.#resultsPage = 1;
    this.#show({ kind: "search" });
  }

  #showResults(number: number): void {
    const { catalogue } = this.#counter;
    const found = this.#counter.find(this.#keywords);
    const first = (number - 1) * RESULTS_PER_PAGE;
    const items = number < 1 ? [] : found.slice(first, first + RESULTS_PER_PAGE).map((position) => catalogue.product(position));
    this.#choices.clear();
    this.#resultsPage = number;
    this.#show({ kind: "results", number, total: found.length, items });
  }

  #open(asin: string): void {
    const page = this.#page;
    const product = page.kind === "results" ? page.items.find((item) => item.asin === asin) : undefined;
    if (!product) return;
    this.#opened.add(asin);
    this.#show({ kind: "item", product });
  }

  #buy(product: Product): Reward {
    const reward = this.#counter.reward(product, this.#choices, this.goal);
    this.#show({ kind: "done", product, choices: new Map(this.#choices), score: reward.score });
    return reward;
  }
}
