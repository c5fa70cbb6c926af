/**
 * From a record of the catalogue file to the product that the shop shows, by the rules of WebShop's loader: which records count, how
 * prices, bullet points and options are read, and what the two instruction files add. Pure functions; reads no files.
 */
import { SiriError } from "../../errors.js";
import { codePointLength, floatRepr, strip } from "./python/text.js";
import type { HumanInstruction, Instruction, Product } from "./types.js";

/** A record that cannot be read. The loader names it, counts it and goes on without it. */
export class RecordError extends SiriError {
  /** ASIN as far as it is known. */
  readonly asin: string;
  /** Name of the field in the file. */
  readonly field: string;

  constructor(asin: string, field: string, problem: string) {
    super("WEBSHOP_RECORD", `product ${asin}: field "${field}" ${problem}`);
    this.asin = asin;
    this.field = field;
  }
}

function describe(value: unknown): string {
  if (value === undefined) return "is missing";
  const text = JSON.stringify(value) ?? String(value);
  return `is ${text.length > 60 ? `${text.slice(0, 60)}...` : text}`;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function expectString(value: unknown, asin: string, field: string): string {
  if (typeof value !== "string") throw new RecordError(asin, field, `${describe(value)}; it must be a string`);
  return value;
}

function expectStrings(value: unknown, asin: string, field: string): readonly string[] {
  if (!Array.isArray(value) || value.some((item) => typeof item !== "string")) {
    throw new RecordError(asin, field, `${describe(value)}; it must be a list of strings`);
  }
  return value as readonly string[];
}

/** The fields of a record, or a RecordError when it is no object. */
function fieldsOf(record: unknown): Readonly<Record<string, unknown>> {
  if (!isRecord(record)) throw new RecordError("(unknown)", "(whole record)", `${describe(record)}; it must be an object`);
  return record;
}

/** @throws RecordError when the record has no ASIN */
export function asinOf(record: unknown): string {
  return expectString(fieldsOf(record).asin, "(unknown)", "asin");
}

/**
 * Says, record by record in file order, which ones become products: not an ASIN "nan", none longer than 10 characters, none twice, and
 * nothing after the first `limit` records (records, not products).
 */
export class Admission {
  private readonly seen = new Set<string>();
  private records = 0;

  /** @param limit number of records of the file that count, all by default */
  constructor(private readonly limit = Number.POSITIVE_INFINITY) {}

  /** Whether the file need not be read further. */
  get full(): boolean {
    return this.records >= this.limit;
  }

  /** Counts a record that has no readable ASIN: it takes its place among the first `limit` all the same. */
  refuse(): void {
    this.records++;
  }

  admit(asin: string): boolean {
    if (this.full) return false;
    this.records++;
    if (asin === "nan" || codePointLength(asin) > 10 || this.seen.has(asin)) return false;
    this.seen.add(asin);
    return true;
  }
}

const NO_PRICE = { pricing: [100], priceTag: "$100.0" } as const;

function readPrice(value: unknown, asin: string): Pick<Product, "pricing" | "priceTag"> {
  if (value === undefined || value === null || value === "") return NO_PRICE;
  const text = expectString(value, asin, "pricing");
  const pieces = text.split("$").slice(1);
  if (pieces.length === 0) throw new RecordError(asin, "pricing", `${describe(text)}; it must hold "$" and a number, or be empty`);
  const numbers = pieces.map((piece) => {
    const digits = piece.replace(/[^0-9.]/g, "");
    if (!/^([0-9]+\.?[0-9]*|\.[0-9]+)$/.test(digits)) {
      throw new RecordError(asin, "pricing", `${describe(text)}; "${digits}" after a "$" is not a number`);
    }
    return Number(digits);
  });
  const [low, high] = numbers as [number, number?];
  if (high === undefined) return { pricing: [low], priceTag: `$${floatRepr(low)}` };
  return { pricing: [low, high], priceTag: `$${floatRepr(low)} to $${floatRepr(high)}` };
}

/** Groups in file order. A `Map` keeps the order of a group whose name looks like a number, which an object does not. */
function readOptions(value: unknown, asin: string): Pick<Product, "options" | "optionImages"> {
  const field = "customization_options";
  const options = new Map<string, readonly string[]>();
  const optionImages = new Map<string, string | null>();
  if (value === "" || value === null) return { options, optionImages };
  if (!(value instanceof Map) && !isRecord(value)) throw new RecordError(asin, field, `${describe(value)}; it must be "" or an object`);
  const groups: Iterable<[string, unknown]> = value instanceof Map ? value : Object.entries(value);
  for (const [name, contents] of groups) {
    if (contents === null) continue;
    if (!Array.isArray(contents)) throw new RecordError(asin, `${field}.${name}`, `${describe(contents)}; it must be a list or null`);
    const values: string[] = [];
    for (const content of contents as readonly unknown[]) {
      const choice = isRecord(content) ? content : {};
      const raw = expectString(choice.value, asin, `${field}.${name}.value`);
      const cleaned = strip(raw).replaceAll("/", " | ").toLowerCase();
      values.push(cleaned);
      optionImages.set(cleaned, typeof choice.image === "string" ? choice.image : null);
    }
    options.set(name.toLowerCase(), values);
  }
  return { options, optionImages };
}

/**
 * Cleans one record of items_shuffle.json.
 * @param record the parsed object; `customization_options` may be a `Map` where the order of its names matters
 * @param attributes the product's attributes, see `attributesOf`
 * @throws RecordError naming the product and the field that cannot be read
 */
export function parseProduct(record: unknown, attributes: readonly string[] = NO_ATTRIBUTES): Product {
  const fields = fieldsOf(record);
  const asin = asinOf(record);
  const text = (field: string): string => expectString(fields[field], asin, field);
  const bullets = fields.small_description;
  const images = fields.images;
  if (!Array.isArray(images) || images.length === 0)
    throw new RecordError(asin, "images", `${describe(images)}; it must be a list with one entry at least`);
  return {
    asin,
    title: text("name"),
    description: text("full_description"),
    bulletPoints: typeof bullets === "string" ? [bullets] : expectStrings(bullets, asin, "small_description"),
    ...readPrice(fields.pricing, asin),
    ...readOptions(fields.customization_options, asin),
    attributes,
    category: text("category"),
    query: strip(text("query").toLowerCase()),
    productCategory: text("product_category"),
    mainImage: expectString(images[0], asin, "images"),
  };
}

/** What a product has that the attribute file does not know. */
const NO_ATTRIBUTES: readonly string[] = ["DUMMY_ATTR"];

/**
 * Attributes of a product.
 * @param row its entry in items_ins_v2.json, undefined when it has none
 * @throws RecordError
 */
export function attributesOf(row: unknown, asin: string): readonly string[] {
  if (!isRecord(row) || row.attributes === undefined) return NO_ATTRIBUTES;
  return expectStrings(row.attributes, asin, "attributes");
}

/**
 * The instruction that synthetic goals of a product start from, undefined when it has none.
 * @param row its entry in items_ins_v2.json
 * @throws RecordError
 */
export function instructionOf(row: unknown, asin: string): Instruction | undefined {
  if (!isRecord(row) || row.instruction === undefined || row.instruction === null) return undefined;
  const attributes = expectStrings(row.instruction_attributes, asin, "instruction_attributes");
  if (attributes.length === 0) throw new RecordError(asin, "instruction_attributes", "is empty although there is an instruction");
  return { text: expectString(row.instruction, asin, "instruction"), attributes };
}

/**
 * The instructions that people wrote for a product, in file order, without those that name no attribute (they make no goal).
 * @param rows its entry in items_human_ins.json, undefined when it has none
 * @throws RecordError
 */
export function humanInstructionsOf(rows: unknown, asin: string): readonly HumanInstruction[] {
  if (rows === undefined) return [];
  if (!Array.isArray(rows)) throw new RecordError(asin, "(human instructions)", `${describe(rows)}; it must be a list`);
  const instructions: HumanInstruction[] = [];
  for (const row of rows as readonly unknown[]) {
    if (!isRecord(row)) throw new RecordError(asin, "(human instructions)", `holds an entry that ${describe(row)}; it must be an object`);
    const attributes = expectStrings(row.instruction_attributes, asin, "instruction_attributes");
    if (attributes.length === 0) continue;
    instructions.push({
      text: expectString(row.instruction, asin, "instruction"),
      attributes,
      options: expectStrings(row.instruction_options, asin, "instruction_options"),
    });
  }
  return instructions;
}

/** Number of ways to choose one value of every option group: 1 without options, 0 when a group is empty. */
export function combinationsOf(product: Pick<Product, "options">): number {
  let count = 1;
  for (const values of product.options.values()) count *= values.length;
  return count;
}
