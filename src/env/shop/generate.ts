/**
 * Makes the embedded shop: records in the formats of WebShop's product and instruction files, the same for the same seed. Things come in
 * families that differ in the one respect that decides in their department, so that a habit costs the sale:
 *
 *   beauty       the wanted property is told in descriptions: a search that names it finds the right ones first
 *   electronics  it is told among the features only, which searches do not reach: every candidate's page must be read
 *                (a dear one among them can be left out)
 *   fashion      every product comes in colors and sizes, and the instruction names one of each
 *   garden       not every product comes in the wanted size
 *   grocery      all have what is wanted; a third is below the price limit
 *
 * Knows no page and no reward.
 */
import { Rng } from "../household/rng.js";
import { DEPARTMENTS, type Department, type DepartmentWords, MAKERS, WORDS } from "./words.js";

/** An entry of the product file: the fields that the loader reads. */
export interface ItemRecord {
  readonly asin: string;
  readonly name: string;
  readonly full_description: string;
  readonly small_description: readonly string[];
  /** `$12.99`. */
  readonly pricing: string;
  readonly images: readonly string[];
  readonly product_category: string;
  readonly category: Department;
  readonly query: string;
  readonly customization_options: Readonly<Record<string, readonly { readonly value: string }[]>>;
}

/** An entry of the instruction file. */
export interface InstructionRecord {
  readonly attributes: readonly string[];
  readonly instruction?: string;
  readonly instruction_attributes?: readonly string[];
}

export interface ShopRecords {
  readonly items: readonly ItemRecord[];
  /** By ASIN. */
  readonly instructions: Readonly<Record<string, InstructionRecord>>;
}

/** Cheap things cost 5 to 19 dollars, which a limit (at most 50 dollars then) allows; dear ones never fit under such a limit. */
const CHEAP = [5, 19] as const;
const DEAR = [55, 95] as const;

/** A product before it has a number and a place in the shop. */
interface Draft {
  readonly properties: readonly string[];
  readonly titleProperty?: string;
  readonly description?: string;
  readonly features: readonly string[];
  readonly price: readonly [number, number];
  readonly options: Readonly<Record<string, readonly string[]>>;
  /** What an instruction may ask for; absent: no instruction. */
  readonly wanted?: string;
}

/** @param seed whole number from 0 */
export function generateShop(seed: number): ShopRecords {
  const rng = new Rng(seed, "shop");
  const drafts = DEPARTMENTS.flatMap((department) =>
    WORDS[department].things.flatMap((thing) =>
      familyOf(department, WORDS[department], rng).map((draft) => ({ department, thing, draft })),
    ),
  );
  const numbers = rng.shuffle(Array.from({ length: 900 }, (_, i) => 100 + i));
  const placed = rng.shuffle(drafts).map(({ department, thing, draft }, i) => ({ department, thing, draft, asin: `S${numbers[i]}` }));
  const items = placed.map(({ department, thing, draft, asin }) => itemOf(department, thing, draft, asin, rng));
  const instructions = placed.map(({ thing, draft, asin }) => [asin, instructionOf(thing, draft, rng)] as const);
  return { items, instructions: Object.fromEntries(instructions) };
}

function familyOf(department: Department, words: DepartmentWords, rng: Rng): Draft[] {
  const [first, second, third, ...others] = rng.shuffle(words.properties) as [string, string, string, ...string[]];
  const options = Object.fromEntries(words.options.map(({ name, values }) => [name, some(values, 4, rng)]));
  const remark = () => rng.pick(words.remarks);
  const filler = (count: number) => rng.shuffle(others).slice(0, count);
  switch (department) {
    case "beauty":
      return [first, first, second, second, third, third].map((property) => ({
        properties: [property],
        description: `${remark()} with ${property}.`,
        features: [remark(), ...filler(1)],
        price: CHEAP,
        options,
        wanted: property,
      }));
    case "electronics":
      return [first, first, second, second, third].map((property) => {
        const features = [property, ...filler(2)];
        return {
          properties: features,
          features: [remark(), ...rng.shuffle(features)],
          price: property === third ? DEAR : CHEAP,
          options,
          ...(property === third ? {} : { wanted: property }),
        };
      });
    case "fashion":
      return [first, first, first, second, second, second].map((property) => ({
        properties: [property],
        titleProperty: property,
        features: [remark(), ...filler(1)],
        price: CHEAP,
        options,
        wanted: property,
      }));
    case "garden": {
      const sizes = words.options[0]!;
      return [0, 1, 2, 3, 4].map(() => ({
        properties: [first],
        titleProperty: first,
        features: [remark(), ...filler(1)],
        price: CHEAP,
        options: { [sizes.name]: some(sizes.values, 2, rng) },
        wanted: first,
      }));
    }
    case "grocery":
      return [CHEAP, CHEAP, CHEAP, DEAR, DEAR, DEAR, DEAR, DEAR, DEAR].map((price) => ({
        properties: [first],
        titleProperty: first,
        features: [remark(), ...filler(1)],
        price,
        options,
        ...(price === CHEAP ? { wanted: first } : {}),
      }));
  }
}

/** So many of a list, in its order. */
function some<T>(list: readonly T[], count: number, rng: Rng): readonly T[] {
  const chosen = new Set(rng.shuffle(list).slice(0, count));
  return list.filter((item) => chosen.has(item));
}

function itemOf(department: Department, thing: string, draft: Draft, asin: string, rng: Rng): ItemRecord {
  const name = [rng.pick(MAKERS), ...(draft.titleProperty === undefined ? [] : [titled(draft.titleProperty)]), titled(thing)].join(" ");
  const [low, high] = draft.price;
  return {
    asin,
    name,
    full_description: draft.description ?? "",
    small_description: draft.features,
    pricing: `$${rng.int(low, high)}.00`,
    images: [`${asin.toLowerCase()}.jpg`],
    product_category: [...WORDS[department].path, titled(thing)].join(" › "),
    category: department,
    query: thing,
    customization_options: Object.fromEntries(
      Object.entries(draft.options).map(([group, values]) => [group, values.map((value) => ({ value }))]),
    ),
  };
}

function instructionOf(thing: string, { properties, wanted }: Draft, rng: Rng): InstructionRecord {
  if (wanted === undefined) return { attributes: properties };
  const beginning = rng.pick(["find me", "i need", "i am looking for"]);
  const article = /^[aeiou]/.test(thing) ? "an" : "a";
  return { attributes: properties, instruction: `${beginning} ${article} ${thing} with ${wanted}`, instruction_attributes: [wanted] };
}

const titled = (words: string): string => words.replace(/\b[a-z]/g, (letter) => letter.toUpperCase());
