/** Makes what goals are drawn from out of whole records, for tests: everything is held in memory. */
import { attributesOf, combinationsOf, humanInstructionsOf, instructionOf, parseProduct } from "../../src/env/webshop/product.js";
import type { GoalSource, HumanInstruction, Instruction, Product } from "../../src/env/webshop/types.js";
import { readData } from "./data.js";

export interface Entry {
  readonly product: Product;
  readonly instruction?: Instruction | undefined;
  readonly humanInstructions?: readonly HumanInstruction[];
}

export function sourceOf(entries: readonly Entry[]): GoalSource {
  const entry = (index: number): Entry => entries[index] as Entry;
  return {
    length: entries.length,
    product: (index) => entry(index).product,
    asin: (index) => entry(index).product.asin,
    pricing: (index) => entry(index).product.pricing,
    combinations: (index) => combinationsOf(entry(index).product),
    instruction: (index) => entry(index).instruction,
    humanInstructions: (index) => entry(index).humanInstructions ?? [],
  };
}

/** The files that `thousand` reads. */
export const THOUSAND_FILES = ["items_shuffle_1000.json.gz", "items_ins_v2_1000.json.gz", "items_human_ins_1000.json"] as const;

/** The 1,000 products of the small set. */
export function thousand(): GoalSource {
  const records = readData<readonly { readonly asin: string }[]>(THOUSAND_FILES[0]);
  const rows = readData<Readonly<Record<string, unknown>>>(THOUSAND_FILES[1]);
  const human = readData<Readonly<Record<string, unknown>>>(THOUSAND_FILES[2]);
  return sourceOf(
    records.map((record) => ({
      product: parseProduct(record, attributesOf(rows[record.asin], record.asin)),
      instruction: instructionOf(rows[record.asin], record.asin),
      humanInstructions: humanInstructionsOf(human[record.asin], record.asin),
    })),
  );
}
