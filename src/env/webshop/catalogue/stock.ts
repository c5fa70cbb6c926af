/** A shop's products with everything that is asked of them: what an opened data folder is. */
import { SiriError } from "../../../errors.js";
import { compareCodePoints } from "../python/text.js";
import type { Catalogue, GoalSource } from "../types.js";
import type { Problems } from "./problems.js";

export interface ShopStock extends Catalogue, GoalSource {
  /** What was wrong with the data. */
  readonly problems: Pick<Problems, "count" | "first">;
  /** Gives files back. Nothing can be asked afterwards. */
  close(): void;
}

/** Products a search finds by default. */
export const SEARCH_LIMIT = 50;

/** Place of each ASIN in the order of their bytes. */
export function ranksOf(asins: readonly string[]): Uint32Array {
  const ranks = new Uint32Array(asins.length);
  const order = Uint32Array.from(asins, (_, position) => position);
  // The order of UTF-8 bytes is that of code points.
  order.sort((a, b) => compareCodePoints(asins[a]!, asins[b]!));
  for (const [rank, position] of order.entries()) ranks[position] = rank;
  return ranks;
}

export function unknownProduct(index: number, length: number): SiriError {
  return new SiriError("PRODUCT_UNKNOWN", `there is no product ${index}; the catalogue has ${length}, numbered from 0`);
}
