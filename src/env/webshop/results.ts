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
 * nothing.
 */
export function resultFinder(catalogue: Catalogue): FindResults {
  const lists = boundedCache<string, readonly number[]>(KEPT_QUERIES);
  return (keywords, random) => {
    switch (keywords[0]) {
      case "<r>":
        return random().sample(catalogue.length, Math.min(SEARCH_LIMIT, catalogue.length));
      case "<a>":
        return NOTHING;
      case "<c>":
        return catalogue.inCategory(strip(keywords[1] ?? ""));
      case "<q>":
        return catalogue.withQuery(strip(keywords.slice(1).join(" ")));
      default: {
        const query = keywords.join(" ");
        return lists.get(query, () => catalogue.search(query, SEARCH_LIMIT));
      }
    }
  };
}
