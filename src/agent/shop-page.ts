/**
 * Reads WebShop's `text` pages: which page it is, the products on it, the options of a product, what a sub page tells. Only what stands in
 * the observation and in the list of actions; values are told from group names because they can be clicked. Knows no session.
 */
import type { Observation } from "../env/environment.js";

export interface ShopItem {
  /** Lower case, as it is clicked. */
  readonly asin: string;
  readonly title: string;
  /** `$12.5` or `$10.0 to $40.5`. */
  readonly price: string;
}

export interface ShopGroup {
  readonly name: string;
  readonly values: readonly string[];
}

export type ShopPage =
  | { readonly kind: "search" }
  | { readonly kind: "results"; readonly number: number; readonly items: readonly ShopItem[] }
  | { readonly kind: "item"; readonly title: string; readonly price: string; readonly groups: readonly ShopGroup[] }
  | { readonly kind: "detail"; readonly texts: readonly string[] }
  | { readonly kind: "other"; readonly text: string };

const CLICK = /^click\[(.*)\]$/s;

export function readShopPage({ text, task, actions = [] }: Pick<Observation, "text" | "task" | "actions">): ShopPage {
  const all = text.split(" [SEP] ");
  const at = all.indexOf(task);
  if (at < 0) return { kind: "other", text };
  const parts = all.slice(at + 1);
  if (parts.length === 1 && parts[0] === "Search") return { kind: "search" };
  const number = /^Page (\d+) \(Total results: \d+\)$/.exec(parts[1] ?? "")?.[1];
  if (number !== undefined) return { kind: "results", number: Number(number), items: itemsOf(parts) };
  if (parts[1] !== "< Prev") return { kind: "other", text };
  if (parts.at(-1) === "Buy Now") return itemPage(parts, clickable(actions));
  return { kind: "detail", texts: parts.slice(2) };
}

/** What is clicked by an action; null for another kind of action. */
export function clicked(action: string): string | null {
  return CLICK.exec(action)?.[1] ?? null;
}

function clickable(actions: readonly string[]): ReadonlySet<string> {
  return new Set(actions.map((action) => clicked(action)?.trim() ?? ""));
}

/** Behind the last button of a page of results stand ASIN, title and price in turn. */
function itemsOf(parts: readonly string[]): ShopItem[] {
  const items: ShopItem[] = [];
  for (let i = parts.indexOf("Next >") + 1; i + 2 < parts.length; i += 3) {
    items.push({ asin: parts[i]!.toLowerCase(), title: parts[i + 1]!, price: parts[i + 2]! });
  }
  return items;
}

/** `Back to Search, < Prev, (group, value...)*, title, Price: ..., Rating: ..., buttons`. */
function itemPage(parts: readonly string[], can: ReadonlySet<string>): ShopPage {
  const priceAt = parts.findLastIndex((part) => part.startsWith("Price: "));
  const groups: { name: string; values: string[] }[] = [];
  for (const part of parts.slice(2, Math.max(2, priceAt - 1))) {
    if (groups.length > 0 && can.has(part)) groups.at(-1)!.values.push(part);
    else groups.push({ name: part, values: [] });
  }
  return { kind: "item", title: parts[priceAt - 1] ?? "", price: (parts[priceAt] ?? "").slice("Price: ".length), groups };
}
