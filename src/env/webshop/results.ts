/**
 * From keywords to the list of products that the shop shows for them: by search, or by one of the shop's special words. Knows no page.
 */
import { boundedCache } from "../textworld/cache.js";
import type { PythonRandom } from "./python/random.js";
import { strip } from "./python/text.js";
import type { Catalogue } from "./types.js";

/** Positions of products for the words of a query, best first. Asked again for every page of a list. */
export type FindResults = (keywords: readonly string[], random: () => PythonRandom) => readonly number[];

const SEARCH_LIMIT = 50;
/** Lists of the latest queries; members of a group often ask the same. 50 positions each. */
const KEPT_QUERIES = 4096;

const NOTHING: readonly number[] = [];

/**
 * Special first words: `<r>` is 50 products at random, other ones at every look (all of them in a smaller shop); `<c>` the products of the
 * category that the second word names; `<q>` those whose own query is the rest of the words. `<a>`, which stops the original, finds
 * nothing. The categories and queries are collected from the whole catalogue when one of these words is first used.
 */
export function resultFinder(catalogue: Catalogue): FindResults {
  const lists = boundedCache<string, readonly number[]>(KEPT_QUERIES);
  let collected: { readonly categories: Map<string, number[]>; readonly queries: Map<string, number[]> } | undefined;
  const collection = () => {
    collected ??= collect(catalogue);
    return collected;
  };
  return (keywords, random) => {
    switch (keywords[0]) {
      case "<r>":
        return random().sample(catalogue.length, Math.min(SEARCH_LIMIT, catalogue.length));
      case "<a>":
        return NOTHING;
      case "<c>":
        return collection().categories.get(strip(keywords[1] ?? "")) ?? NOTHING;
      case "<q>":
        return collection().queries.get(strip(keywords.slice(1).join(" "))) ?? NOTHING;
      default: {
        const query = keywords.join(" ");
        return lists.get(query, () => catalogue.search(query, SEARCH_LIMIT));
      }
    }
  };
}

function collect(catalogue: Catalogue) {
  const categories = new Map<string, number[]>();
  const queries = new Map<string, number[]>();
  const add = (lists: Map<string, number[]>, key: string, position: number) => {
    const list = lists.get(key);
    if (list) list.push(position);
    else lists.set(key, [position]);
  };
  for (let position = 0; position < catalogue.length; position++) {
    const { category, query } = catalogue.product(position);
    add(categories, category, position);
    add(queries, query, position);
  }
  return { categories, queries };
}
