/**
 * The shopping tasks of a catalogue. A list of goals is a permutation of numbers: a goal is put together when it is asked for, from its
 * product and the number of its combination of options, so that millions of goals cost four bytes each. Everything random is drawn in
 * the order in which the original draws it, so that a seed gives the same prices, limits and order. Knows no episode and no reward.
 */
import { SiriError } from "../../errors.js";
import { PythonRandom } from "./python/random.js";
import { compareCodePoints, strip } from "./python/text.js";
import type { Goal, GoalSource, Product } from "./types.js";

export type GoalKind = "human" | "synthetic";

export interface GoalOptions {
  readonly kind: GoalKind;
  /** Seed before prices and limits are drawn. Absent: a new one every time, as the original does it. */
  readonly seed?: number;
  /** Seed before the list is shuffled. The original takes 233; verl-agent takes `seed` again. */
  readonly shuffleSeed?: number;
  /** Keeps goals by their index in the shuffled list. */
  readonly filter?: (index: number, goal: Goal) => boolean;
  /** Keeps this many goals, drawn by weight, in the order of drawing. */
  readonly limit?: number;
}

/** `priceUpper` of a goal that names no limit. */
export const NO_PRICE_LIMIT = 1_000_000;

const SHUFFLE_SEED = 233;
const PRICE_STEP = 10;
const HIGHEST_PRICE = 990;

/**
 * A price limit above `price`: the larger of two different ones out of the next four multiples of 10 up to 990, or none when fewer than
 * two are left.
 */
function drawPriceLimit(price: number, random: PythonRandom): number {
  const first = Math.max(1, Math.floor(price / PRICE_STEP) + 1);
  const count = Math.min(4, HIGHEST_PRICE / PRICE_STEP - first + 1);
  if (count < 2) return NO_PRICE_LIMIT;
  return (first + Math.max(...random.sample(count, 2))) * PRICE_STEP;
}

function priceText(limit: number): string {
  return limit === NO_PRICE_LIMIT ? "" : `, and price lower than ${limit.toFixed(2)} dollars`;
}

/** Choices of one combination: names in the order of code points, the last name's values changing fastest. */
function choicesOf(options: Product["options"], combination: number): ReadonlyMap<string, string> {
  const names = [...options.keys()].sort(compareCodePoints);
  const values: string[] = [];
  let rest = combination;
  for (const name of names.toReversed()) {
    const group = options.get(name) as readonly string[];
    values.unshift(group[rest % group.length] as string);
    rest = Math.floor(rest / group.length);
  }
  return new Map(names.map((name, i) => [name, values[i] as string]));
}

const MOST_GOALS = 2 ** 32;

/** Goals before they are shuffled: numbered from 0, those of a product side by side in a block. */
class Blocks {
  private readonly products: number[] = [];
  /** Number of goals before each block, then their sum. */
  private readonly starts: number[] = [0];

  add(productIndex: number, goals: number, asin: () => string): void {
    if (goals === 0) return;
    const total = this.goals + goals;
    if (!(total < MOST_GOALS)) {
      throw new SiriError(
        "WEBSHOP_GOALS",
        `product ${asin()} has ${goals} combinations of options, which makes more than ${MOST_GOALS - 1} goals in all: use human goals, or leave the product out`,
      );
    }
    this.products.push(productIndex);
    this.starts.push(total);
  }

  /** Number of blocks. */
  get length(): number {
    return this.products.length;
  }

  /** Number of goals. */
  get goals(): number {
    return this.starts[this.products.length] as number;
  }

  /** Position of a block's product. */
  product(block: number): number {
    return this.products[block] as number;
  }

  /** Number of a block's first goal; that of the next block ends it. */
  start(block: number): number {
    return this.starts[block] as number;
  }

  /** The block that a goal is in. */
  find(number: number): number {
    let low = 0;
    let high = this.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((this.starts[middle] as number) <= number) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

/** What the goals of one kind are. */
interface Family {
  readonly blocks: Blocks;
  goal(number: number, block: number): Goal;
  /** Weight of every goal of a block. */
  weight(block: number): number;
}

/** The fields that a goal takes from its product. */
function productFields(product: Product): Pick<Goal, "asin" | "category" | "query" | "name" | "productCategory"> {
  return {
    asin: product.asin,
    category: product.category,
    query: product.query,
    name: product.title,
    productCategory: product.productCategory,
  };
}

function humanFamily(source: GoalSource, prices: Float64Array, random: PythonRandom): Family {
  const blocks = new Blocks();
  const limits: number[] = [];
  for (let i = 0; i < source.length; i++) {
    const { length } = source.humanInstructions(i);
    blocks.add(i, length, () => source.asin(i));
    for (let k = 0; k < length; k++) limits.push(drawPriceLimit(prices[i] as number, random));
  }
  return {
    blocks,
    weight: () => 1,
    goal(number, block) {
      const index = blocks.product(block);
      const instruction = source.humanInstructions(index)[number - blocks.start(block)];
      if (!instruction)
        throw new SiriError("WEBSHOP_GOALS", `the human instructions of product ${index} changed after the goals were made`);
      const priceUpper = limits[number] as number;
      return {
        ...productFields(source.product(index)),
        instructionText: strip(instruction.text, ".") + priceText(priceUpper),
        attributes: instruction.attributes,
        priceUpper,
        goalOptions: instruction.options,
        weight: 1,
      };
    },
  };
}

function syntheticFamily(source: GoalSource, prices: Float64Array, random: PythonRandom): Family {
  const blocks = new Blocks();
  const limits: number[] = [];
  for (let i = 0; i < source.length; i++) {
    if (!source.instruction(i)) continue;
    // A product whose options leave no combination still takes its draw.
    const limit = drawPriceLimit(prices[i] as number, random);
    const combinations = source.combinations(i);
    blocks.add(i, combinations, () => source.asin(i));
    if (combinations > 0) limits.push(limit);
  }
  const instructionOf = (index: number) => {
    const instruction = source.instruction(index);
    if (!instruction) throw new SiriError("WEBSHOP_GOALS", `the instruction of product ${index} changed after the goals were made`);
    return instruction;
  };
  let blockWeights: Float64Array | undefined;
  /** Mean over a product's attributes of 1 / number of goals with that attribute; made when first asked for. */
  const weights = (): Float64Array => {
    if (blockWeights) return blockWeights;
    const goalsWith = new Map<string, number>();
    for (let block = 0; block < blocks.length; block++) {
      for (const attribute of instructionOf(blocks.product(block)).attributes) {
        goalsWith.set(attribute, (goalsWith.get(attribute) ?? 0) + blocks.start(block + 1) - blocks.start(block));
      }
    }
    blockWeights = Float64Array.from({ length: blocks.length }, (_, block) => {
      const { attributes } = instructionOf(blocks.product(block));
      return attributes.reduce((sum, attribute) => sum + 1 / (goalsWith.get(attribute) as number), 0) / attributes.length;
    });
    return blockWeights;
  };
  return {
    blocks,
    weight: (block) => weights()[block] as number,
    goal(number, block) {
      const index = blocks.product(block);
      const product = source.product(index);
      const instruction = instructionOf(index);
      const priceUpper = limits[block] as number;
      const goalOptions = choicesOf(product.options, number - blocks.start(block));
      const choices = [...goalOptions].map(([name, value]) => `${name}: ${value}`).join(", and ");
      return {
        ...productFields(product),
        instructionText: `${instruction.text}${choices === "" ? "" : ` with ${choices}`}${priceText(priceUpper)}`,
        attributes: instruction.attributes,
        priceUpper,
        goalOptions,
        // Costs a pass over all instructions, once: only who asks pays for it.
        get weight() {
          return weights()[block] as number;
        },
      };
    },
  };
}

/** First position in an ascending list whose entry is greater than `value`. */
function bisectRight(sorted: Float64Array, value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (value < (sorted[middle] as number)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Goals in their shuffled order, and what the random draws before and after them gave. */
export class GoalList {
  private cumulative: Float64Array | undefined;

  constructor(
    private readonly source: GoalSource,
    private readonly family: Family,
    private numbers: Uint32Array,
    /** US dollars by product position: the price, or one drawn between the two ends. */
    readonly prices: Float64Array,
    /** The generator as it stands after the list was made. Sessions and searches of one shop go on drawing from it. */
    readonly random: PythonRandom,
  ) {}

  get length(): number {
    return this.numbers.length;
  }

  private number(index: number): number {
    const number = this.numbers[index];
    if (number === undefined) {
      throw new SiriError("WEBSHOP_GOAL_UNKNOWN", `there is no goal ${index}: goals are numbered from 0 to ${this.length - 1}`);
    }
    return number;
  }

  /**
   * A new object at every call.
   * @throws SiriError WEBSHOP_GOAL_UNKNOWN
   */
  goal(index: number): Goal {
    const number = this.number(index);
    return this.family.goal(number, this.family.blocks.find(number));
  }

  /** Indices of the goals made from products whose ASINs pass, ascending; of each product the first `most`. */
  ofProducts(keep: (asin: string) => boolean, most = Number.POSITIVE_INFINITY): Uint32Array {
    const { blocks } = this.family;
    /** Of each goal by number: its product's place among the kept ones, from 1; 0 for the others. */
    const owners = new Uint32Array(blocks.goals);
    let products = 0;
    for (let block = 0; block < blocks.length; block++) {
      if (keep(this.source.asin(blocks.product(block)))) owners.fill(++products, blocks.start(block), blocks.start(block + 1));
    }
    const taken = new Uint32Array(products + 1);
    const indices = new Uint32Array(this.length);
    let count = 0;
    for (let index = 0; index < this.length; index++) {
      const owner = owners[this.numbers[index] as number]!;
      if (owner === 0 || taken[owner]! >= most) continue;
      taken[owner]!++;
      indices[count++] = index;
    }
    return indices.slice(0, count);
  }

  /** Sums of the weights of the goals before each index, then of all. */
  private sums(): Float64Array {
    const { blocks } = this.family;
    const weights = new Float64Array(blocks.goals);
    for (let block = 0; block < blocks.length; block++) {
      weights.fill(this.family.weight(block), blocks.start(block), blocks.start(block + 1));
    }
    const sums = new Float64Array(this.length + 1);
    for (let i = 0; i < this.length; i++) sums[i + 1] = (sums[i] as number) + (weights[this.numbers[i] as number] as number);
    return sums;
  }

  /**
   * Draws an index by weight. As in the original the weights are off by one: index 0 is never drawn, every other one has the weight of
   * its predecessor, and the last one its own as well.
   */
  draw(random: PythonRandom = this.random): number {
    this.cumulative ??= this.sums();
    const position = random.uniform(0, this.cumulative[this.length] as number);
    return Math.min(bisectRight(this.cumulative, position), this.length - 1);
  }

  /** Keeps the goals at these indices, in this order. */
  keep(indices: readonly number[]): void {
    this.numbers = Uint32Array.from(indices, (index) => this.number(index));
    this.cumulative = undefined;
  }
}

/** Prices of all products, in order: a range takes one draw. */
function drawPrices(source: GoalSource, random: PythonRandom): Float64Array {
  const prices = new Float64Array(source.length);
  for (let i = 0; i < source.length; i++) {
    const [low, high] = source.pricing(i) as readonly [number, number?];
    prices[i] = high === undefined ? low : random.uniform(low, high);
  }
  return prices;
}

/**
 * The goals of a catalogue. One pass over `source`; nothing of it is copied but prices and the products' goal counts.
 *
 * - princeton-nlp/WebShop: no `seed` (prices and limits differ from run to run), or any to fix them; the order is always 233's.
 * - verl-agent, seed s: `{ seed: s, shuffleSeed: s }`.
 *
 * @throws SiriError WEBSHOP_GOALS when there is none, too many, or `limit` cannot be met
 */
export function goalsOf(source: GoalSource, { kind, seed, shuffleSeed = SHUFFLE_SEED, filter, limit }: GoalOptions): GoalList {
  if (limit !== undefined && !(Number.isInteger(limit) && limit >= 1)) {
    throw new SiriError("WEBSHOP_GOALS", `the limit of goals must be a whole number from 1, got ${limit}`);
  }
  const random = new PythonRandom(seed);
  const prices = drawPrices(source, random);
  const family = (kind === "human" ? humanFamily : syntheticFamily)(source, prices, random);
  if (family.blocks.goals === 0) {
    const file = kind === "human" ? "items_human_ins" : "items_ins_v2";
    throw new SiriError("WEBSHOP_GOALS", `no product has a ${kind} instruction: is ${file}.json of the same set as the products?`);
  }
  const numbers = new Uint32Array(family.blocks.goals);
  for (let i = 0; i < numbers.length; i++) numbers[i] = i;
  random.seed(shuffleSeed);
  random.shuffle(numbers);
  const goals = new GoalList(source, family, numbers, prices, random);
  if (filter) {
    const kept: number[] = [];
    for (let i = 0; i < goals.length; i++) if (filter(i, goals.goal(i))) kept.push(i);
    if (kept.length === 0) throw new SiriError("WEBSHOP_GOALS", `the filter kept none of ${goals.length} goals`);
    goals.keep(kept);
  }
  if (limit !== undefined && limit < goals.length) {
    const drawn = new Set<number>();
    while (drawn.size < limit) drawn.add(goals.draw());
    goals.keep([...drawn]);
  }
  return goals;
}
