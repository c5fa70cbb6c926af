/**
 * What the parts of WebShop (arXiv 2207.01206) hand each other: a product as it is after loading, a goal, and the catalogue that holds
 * and finds products. Shapes only; the rules are in the files that make them.
 */

/** A product as the shop shows it, after every cleaning rule of the original loader. */
export interface Product {
  readonly asin: string;
  readonly title: string;
  readonly description: string;
  readonly bulletPoints: readonly string[];
  /** US dollars, one value or the two ends that the file gives (not always ascending). */
  readonly pricing: readonly number[];
  /** `$12.5`, or `$a to $b`; numbers as Python prints floats. */
  readonly priceTag: string;
  /** Lower-case group name to lower-case values, both in file order, repeated values kept. */
  readonly options: ReadonlyMap<string, readonly string[]>;
  /** Option value to the address of its picture, null where the file gives none; a value that comes twice keeps its last picture. Pages
   * in `html` hold it. */
  readonly optionImages: ReadonlyMap<string, string | null>;
  readonly attributes: readonly string[];
  /** beauty, electronics, garden, fashion, grocery. */
  readonly category: string;
  /** Lower case. */
  readonly query: string;
  /** `A › B › C` (U+203A). */
  readonly productCategory: string;
  readonly mainImage: string;
}

/** One shopping task. */
export interface Goal {
  readonly asin: string;
  readonly category: string;
  readonly query: string;
  readonly name: string;
  readonly productCategory: string;
  readonly instructionText: string;
  readonly attributes: readonly string[];
  /** US dollars; 1000000 when the instruction names no limit. */
  readonly priceUpper: number;
  /** Human goals name values; synthetic goals name groups and values, in the order of the names. */
  readonly goalOptions: readonly string[] | ReadonlyMap<string, string>;
  readonly weight: number;
}

/** Products by position, in file order. Positions are dense, from 0. */
export interface Catalogue {
  readonly length: number;
  /** @throws SiriError PRODUCT_UNKNOWN when there is no such position */
  product(index: number): Product;
  /** Position of an upper-case ASIN. */
  find(asin: string): number | undefined;
  /** Positions of at most `limit` (50) products by BM25, best first, ties by ASIN bytes ascending. */
  search(query: string, limit?: number): readonly number[];
  /** Positions of the products of a category, and of those whose own query this is; ascending. */
  inCategory(category: string): readonly number[];
  withQuery(query: string): readonly number[];
}

/** The entry of items_ins_v2.json that synthetic goals of a product are made from. */
export interface Instruction {
  readonly text: string;
  /** Never empty. */
  readonly attributes: readonly string[];
}

/** What a person asked for, from items_human_ins.json. */
export interface HumanInstruction {
  readonly text: string;
  /** Never empty. */
  readonly attributes: readonly string[];
  /** Option values without their groups. */
  readonly options: readonly string[];
}

/** What goals are made from. A large catalogue answers these without reading whole products: every position is asked once. */
export interface GoalSource extends Pick<Catalogue, "length" | "product"> {
  asin(index: number): string;
  /** US dollars, one value or two: `Product.pricing`. */
  pricing(index: number): readonly number[];
  /** Ways to choose one value of every option group, `combinationsOf` the product. */
  combinations(index: number): number;
  instruction(index: number): Instruction | undefined;
  humanInstructions(index: number): readonly HumanInstruction[];
}

/** The parts of a reward, under the names that the original reports them with. Shares of 1. */
export interface RewardInfo {
  readonly r_type: number;
  readonly r_att: number;
  readonly w_att: number;
  readonly query_match: boolean;
  readonly category_match: boolean;
  readonly title_score: number;
  /** Absent, with `w_option`, when the goal names no options. */
  readonly r_option?: number;
  readonly w_option?: number;
  /** Whether the price is within the goal's limit. */
  readonly r_price: boolean;
  readonly w_price: number;
}

/** What buying a product is worth for a goal. */
export interface Reward {
  /** In [0, 1]. */
  readonly score: number;
  readonly info: RewardInfo;
}
