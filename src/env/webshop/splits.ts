/**
 * Which goals a policy learns from and which it is judged by. Two splits are the literature's, by index in the shuffled list; they share
 * products between their parts (of the 146 products of the first 500 goals of the small set, 127 occur in the rest). The third is ours:
 * by product, so that what is bought in one part never occurs in another.
 */
import { createHash } from "node:crypto";
import { SiriError } from "../../errors.js";
import type { GoalList } from "./goals.js";

/**
 * - `paper`: the first 500 goals are `test`, the next 1,000 `valid`, the rest `train` (arXiv 2207.01206, on the full set).
 * - `verl`: the first 500 are `valid`, the rest `train` (verl-agent, and the methods compared with it).
 * - `product`: `productPart` of the goal's product; outside of `train` the first eight goals of a product.
 */
export type SplitScheme = "paper" | "verl" | "product";
export type SplitPart = "train" | "valid" | "test";

/** Shares of the products, in expectation, that `productPart` puts into the parts; the rest is `train`. */
export const HELD_OUT_SHARE = { test: 0.1, valid: 0.1 } as const;

/**
 * Goals of a held-out product. A shirt with 45 colours in six sizes is 252 of the small set's 520 goals of 42 products: it alone would
 * decide what a policy is said to be worth.
 */
const HELD_OUT_GOALS = 8;

/** First index of a part in the shuffled list, and the first behind it. */
const RANGES: Readonly<Record<"paper" | "verl", Partial<Record<SplitPart, readonly [number, number]>>>> = {
  paper: { test: [0, 500], valid: [500, 1500], train: [1500, Number.POSITIVE_INFINITY] },
  verl: { valid: [0, 500], train: [500, Number.POSITIVE_INFINITY] },
};

/** The parts of a scheme. */
export function splitParts(scheme: SplitScheme): readonly SplitPart[] {
  return scheme === "product" ? ["train", "valid", "test"] : (Object.keys(RANGES[scheme]) as SplitPart[]);
}

/** The part of a product, from its ASIN alone: the first 32 bits of SHA-256 of its UTF-8 bytes, as a fraction of 2^32. */
export function productPart(asin: string): SplitPart {
  const place = createHash("sha256").update(asin).digest().readUInt32BE(0) / 2 ** 32;
  if (place < HELD_OUT_SHARE.test) return "test";
  return place < HELD_OUT_SHARE.test + HELD_OUT_SHARE.valid ? "valid" : "train";
}

/**
 * Indices of a part's goals, ascending. May be empty where there are few goals.
 * @throws SiriError WEBSHOP_SPLIT when the scheme has no such part
 */
export function splitOf(goals: GoalList, scheme: SplitScheme, part: SplitPart): Uint32Array {
  if (scheme === "product") {
    return goals.ofProducts((asin) => productPart(asin) === part, part === "train" ? Number.POSITIVE_INFINITY : HELD_OUT_GOALS);
  }
  const range = RANGES[scheme][part];
  if (!range) throw new SiriError("WEBSHOP_SPLIT", `the split "${scheme}" has no part "${part}"; it has ${splitParts(scheme).join(", ")}`);
  const start = Math.min(range[0], goals.length);
  return Uint32Array.from({ length: Math.min(range[1], goals.length) - start }, (_, i) => start + i);
}
