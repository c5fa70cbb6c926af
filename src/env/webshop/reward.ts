/**
 * What a purchase is worth: WebShop's programmatic reward (arXiv 2207.01206, section 3.3) as its code has it. The share of asked
 * attributes, options and price that the product meets, times a factor for being the right type of product. Knows no shop and no page.
 */
import { colourOfChoice, normalizeColour } from "./colour.js";
import { tokenSetExceeds } from "./fuzzy.js";
import type { NounsOf } from "./nouns.js";
import { stringRepr, strip } from "./python/text.js";
import type { Goal, Product, Reward, RewardInfo } from "./types.js";

/** Texts alike above this, in per cent, mean the same. */
const ALIKE = 85;

export interface Purchase {
  readonly product: Product;
  /** US dollars: what the product costs in this shop. */
  readonly price: number;
  /** Option group to chosen value; only the values count. */
  readonly choices: ReadonlyMap<string, string>;
}

const lowerTexts = new WeakMap<Product, readonly string[]>();

/** Title, all bullet points and description, in lower case. */
function textsOf(product: Product): readonly string[] {
  let texts = lowerTexts.get(product);
  if (!texts) {
    texts = [product.title, product.bulletPoints.join(" "), product.description].map((text) => text.toLowerCase());
    lowerTexts.set(product, texts);
  }
  return texts;
}

function matchedAttributes(product: Product, attributes: readonly string[]): number {
  const meets = (asked: string): boolean =>
    product.attributes.some((attribute) => tokenSetExceeds(attribute, asked, ALIKE)) ||
    textsOf(product).some((text) => text.includes(asked));
  return attributes.filter(meets).length;
}

/**
 * What the options of a goal are compared as. Synthetic goals hand over pairs: a pair is a colour only when its name or value is one, and
 * otherwise stands as Python prints it, name included: `('size', 'large')`.
 */
function askedOptions(goalOptions: Goal["goalOptions"]): readonly string[] {
  if (goalOptions instanceof Map) {
    return [...(goalOptions as ReadonlyMap<string, string>)].map(
      ([name, value]) => colourOfChoice(name, value) ?? `(${stringRepr(name)}, ${stringRepr(value)})`,
    );
  }
  return (goalOptions as readonly string[]).map(normalizeColour);
}

/** How many options of the goal some chosen value meets. */
export function matchedOptions(choices: Iterable<string>, goalOptions: Goal["goalOptions"]): number {
  const chosen = Array.from(choices, normalizeColour);
  return askedOptions(goalOptions).filter((asked) => chosen.some((value) => tokenSetExceeds(value, asked, ALIKE))).length;
}

const categoriesOf = (productCategory: string): ReadonlySet<string> => new Set(productCategory.split("\u203a").map((part) => strip(part)));

function sharedEntries(a: ReadonlySet<string>, b: ReadonlySet<string>): number {
  let shared = 0;
  for (const entry of a) if (b.has(entry)) shared++;
  return shared;
}

function typeOf(
  product: Product,
  goal: Goal,
  nouns: NounsOf,
): Pick<RewardInfo, "r_type" | "query_match" | "category_match" | "title_score"> {
  const query_match = product.query === goal.query;
  const category_match = sharedEntries(categoriesOf(product.productCategory), categoriesOf(goal.productCategory)) >= 2;
  const asked = nouns(goal.name);
  // Shared nouns count once, asked nouns as often as they stand: a title with a repeated noun scores below 1 against itself.
  const title_score = asked.count === 0 ? 0.2 : sharedEntries(nouns(product.title).set, asked.set) / asked.count;
  let r_type = query_match || category_match || title_score > 0.2 ? 1 : 0.5;
  if (title_score < 0.1) r_type = 0.1;
  if (title_score === 0) r_type = 0;
  return { r_type, query_match, category_match, title_score };
}

/** Worth of a purchase for a goal, and its parts. */
export function rewardOf({ product, price, choices }: Purchase, goal: Goal, nouns: NounsOf): Reward {
  const type = typeOf(product, goal, nouns);
  const attributes = goal.attributes.length;
  const options = goal.goalOptions instanceof Map ? goal.goalOptions.size : (goal.goalOptions as readonly string[]).length;
  const attributesMet = matchedAttributes(product, goal.attributes);
  const optionsMet = matchedOptions(choices.values(), goal.goalOptions);
  const r_price = price <= goal.priceUpper;
  const asked = attributes + options + 1;
  return {
    score: ((attributesMet + optionsMet + Number(r_price)) / asked) * type.r_type,
    info: {
      r_type: type.r_type,
      r_att: attributesMet / attributes,
      w_att: attributes / asked,
      query_match: type.query_match,
      category_match: type.category_match,
      title_score: type.title_score,
      ...(options > 0 && { r_option: optionsMet / options, w_option: options / asked }),
      r_price,
      w_price: 1 / asked,
    },
  };
}
