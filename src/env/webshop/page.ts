/**
 * The pages of the shop: what stands on each of them, as a list of nodes in reading order. A node is one run of text of the page together
 * with what it is inside of. Knows no session, no markup and no observation mode.
 */
import { dictRepr, floatRepr, jsonDumps, jsonForHtml } from "./python/text.js";
import type { Product } from "./types.js";

export const SUB_PAGES = ["Description", "Features", "Reviews", "Attributes"] as const;
export type SubPage = (typeof SUB_PAGES)[number];

export const RESULTS_PER_PAGE = 10;

/** Option group to chosen value, in the order of the first choice. */
export type Choices = ReadonlyMap<string, string>;

export type Page =
  | { readonly kind: "search" }
  /** `number` counts from 1; `items` are those of this page, `total` is the length of the whole list. */
  | { readonly kind: "results"; readonly number: number; readonly total: number; readonly items: readonly Product[] }
  | { readonly kind: "item"; readonly product: Product }
  | { readonly kind: "sub"; readonly product: Product; readonly name: SubPage }
  | { readonly kind: "done"; readonly product: Product; readonly choices: Choices; readonly score: number };

export interface PageNode {
  /** `button`: a button that is shown as such; `link`: a product's ASIN; `option`: the label of a value that can be chosen. */
  readonly kind: "text" | "button" | "link" | "option";
  /** As it stands in the page, blanks included. */
  readonly text: string;
  /** Group of an option. */
  readonly group?: string;
}

const text = (value: string): PageNode => ({ kind: "text", text: value });
const button = (value: string): PageNode => ({ kind: "button", text: value });

const BACK = button("Back to Search");
const PREVIOUS = button("< Prev");
const NEXT = button("Next >");
const BUY = button("Buy Now");
const SEARCH = button("Search");
const SUB_PAGE_BUTTONS = SUB_PAGES.map(button);
const RATING = text("Rating: N.A.");

/** Texts of the last page, in the wording of the shop, mistakes included. Reviews, goals and details are never filled in for agents. */
const DONE_HEAD = [
  "Thank you for shopping with us!",
  "Your code: ",
  "None",
  " (Paste it in your MTurk interface.)",
  "Purchased",
  "asin",
].map(text);
const DONE_MIDDLE = [
  ...["attrs", "None", "category", "None", "query", "None", "product category", "None"],
  ...["Target", "asin", "options", "attrs", "price upper", "instuction text", "category", "product category", "query"],
  ...["Goal ", "None", "Reward", "Your score (min 0.0, max 1.0)"],
].map(text);
const DONE_TAIL = ["Reward Details ", "None"].map(text);

/**
 * Everything that stands on a page, in reading order. Texts of the data may be empty or blank here: see `visible`.
 * @param showAttributes item pages lead to a fourth sub page, with the product's attributes
 */
export function nodesOf(page: Page, instruction: string, showAttributes: boolean): PageNode[] {
  switch (page.kind) {
    case "search":
      return [text("WebShop"), text("Instruction: "), text(instruction), SEARCH];
    case "results": {
      const nodes = [text("Instruction:"), text(instruction), BACK, text(`Page ${page.number} (Total results: ${page.total})`)];
      if (page.number > 1) nodes.push(PREVIOUS);
      nodes.push(NEXT);
      for (const { asin, title, priceTag } of page.items) nodes.push({ kind: "link", text: asin }, text(title), text(priceTag));
      return nodes;
    }
    case "item":
      return itemNodes(page.product, instruction, showAttributes);
    case "sub":
      return [text("Instruction:"), text(instruction), BACK, PREVIOUS, ...subPageTexts(page.product, page.name).map(text)];
    case "done":
      return [
        ...DONE_HEAD,
        text(page.product.asin),
        text("options"),
        text(jsonForHtml(page.choices)),
        ...DONE_MIDDLE,
        text(floatRepr(page.score)),
        ...DONE_TAIL,
      ];
  }
}

function itemNodes(product: Product, instruction: string, showAttributes: boolean): PageNode[] {
  const nodes = [text("Instruction:"), text(instruction), BACK, PREVIOUS];
  for (const [group, values] of product.options) {
    nodes.push(text(group));
    for (const value of values) nodes.push({ kind: "option", text: value, group });
  }
  nodes.push(text(product.title), text(`Price: ${product.priceTag}`), RATING);
  for (const node of SUB_PAGE_BUTTONS) if (showAttributes || node.text !== "Attributes") nodes.push(node);
  nodes.push(BUY);
  return nodes;
}

/** What a sub page says of a product. There are no reviews in the data. */
export function subPageTexts(product: Product, name: SubPage): string[] {
  switch (name) {
    case "Description":
      return [product.description];
    case "Features":
      return product.bulletPoints.map((point) => ` ${point}`);
    case "Reviews":
      return [];
    case "Attributes":
      return [...product.attributes.map((attribute) => ` ${attribute}`), product.category, product.query, product.productCategory];
  }
}

const BLANK = /^[ \t\n\f\r]*$/;

/**
 * The text of a node as a reader of the page sees it: blanks alone shrink to one, and where they hold a line feed they are only the
 * layout of the page and give undefined, as does an empty text.
 */
export function visible(node: PageNode): string | undefined {
  const value = node.text;
  if (value.charCodeAt(0) > 0x20 || !BLANK.test(value)) return value;
  return value === "" || value.includes("\n") ? undefined : " ";
}

/**
 * What can be clicked, by lower-case text: buttons, then products, then options. Of two that are called alike the later one is meant, at
 * the place of the earlier one.
 */
export function clickablesOf(nodes: readonly PageNode[]): Map<string, PageNode> {
  const clickables = new Map<string, PageNode>();
  for (const node of nodes) if (node.kind === "button") clickables.set(node.text.toLowerCase(), node);
  for (const node of nodes) if (node.kind === "link") clickables.set(node.text.toLowerCase(), node);
  for (const node of nodes) if (node.kind === "option") clickables.set(node.text, node);
  return clickables;
}

/** Where a page is: what its address is made of. */
export interface Place {
  readonly id: string;
  readonly keywords: readonly string[];
  /** Number of the last page of results, from 1. */
  readonly resultsPage: number;
  readonly choices: Choices;
}

const HOST = "http://127.0.0.1:3000";

export function urlOf(page: Page, { id, keywords, resultsPage, choices }: Place): string {
  const query = () => keywords.join("+");
  switch (page.kind) {
    case "search":
      return `${HOST}/${id}`;
    case "results":
      return `${HOST}/search_results/${id}/${query()}/${resultsPage}`;
    case "item":
      return `${HOST}/item_page/${id}/${page.product.asin}/${query()}/${resultsPage}/${jsonDumps(choices)}`;
    case "sub":
      return `${HOST}/item_sub_page/${id}/${page.product.asin}/${query()}/${resultsPage}/${page.name}/${dictRepr(choices)}`;
    case "done":
      return `${HOST}/done/${id}/${page.product.asin}/${dictRepr(page.choices)}`;
  }
}
