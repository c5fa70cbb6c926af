/** A catalogue whose products are all in memory: for some thousands of them. */
import { combinationsOf } from "../product.js";
import { indexTexts } from "../search/search-index.js";
import type { HumanInstruction, Product } from "../types.js";
import { indexedText } from "./indexed-text.js";
import type { Listing } from "./listings.js";
import { bearersOf, NameGathering } from "./names.js";
import { Problems } from "./problems.js";
import { ranksOf, SEARCH_LIMIT, type ShopStock, unknownProduct } from "./stock.js";

const NONE: readonly HumanInstruction[] = [];

export interface MemoryStockOptions {
  /** By position of the product. */
  readonly humanInstructions?: ReadonlyMap<number, readonly HumanInstruction[]>;
  readonly problems?: Problems;
}

/** @param listings in file order, each ASIN once */
export function memoryStock(listings: readonly Listing[], options: MemoryStockOptions = {}): ShopStock {
  const positions = new Map(listings.map(({ product }, position) => [product.asin, position]));
  const index = indexTexts(
    listings.map(({ product }) => indexedText(product)),
    ranksOf(listings.map(({ product }) => product.asin)),
  );
  const at = (position: number): Listing => {
    const listing = listings[position];
    if (!listing) throw unknownProduct(position, listings.length);
    return listing;
  };
  const product = (position: number): Product => at(position).product;
  const bearers = (nameOf: (product: Product) => string) =>
    bearersOf(() => {
      const names = new NameGathering();
      for (const { product } of listings) names.add(nameOf(product));
      return names.finish();
    });
  return {
    length: listings.length,
    product,
    find: (asin) => positions.get(asin),
    search: (query, limit = SEARCH_LIMIT) => index.search(query, limit).map(({ document }) => document),
    inCategory: bearers(({ category }) => category),
    withQuery: bearers(({ query }) => query),
    asin: (position) => product(position).asin,
    pricing: (position) => product(position).pricing,
    combinations: (position) => combinationsOf(product(position)),
    instruction: (position) => at(position).instruction,
    humanInstructions: (position) => options.humanInstructions?.get(position) ?? NONE,
    problems: options.problems ?? new Problems(),
    close: () => {},
  };
}
