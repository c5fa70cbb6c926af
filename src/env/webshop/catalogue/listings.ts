/**
 * Reads the data files record by record: products with what synthetic goals need, and what people asked for. A record that cannot be
 * read is a problem with a name; the others are not touched by it.
 */
import { basename } from "node:path";
import { Admission, asinOf, attributesOf, humanInstructionsOf, instructionOf, parseProduct } from "../product.js";
import type { HumanInstruction, Instruction, Product } from "../types.js";
import { type DataFiles, readChunks } from "./data-files.js";
import { JsonParts, namesInOrder, type Part, parseJson } from "./json-parts.js";
import type { Problems } from "./problems.js";

/** A product with its entry for synthetic goals. */
export interface Listing {
  readonly product: Product;
  readonly instruction: Instruction | undefined;
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Reads the parts of a file one after another; stops early when `take` says so by returning false. */
async function readParts(
  path: string,
  kind: "list" | "object",
  problems: Problems,
  take: (value: unknown, part: Part) => boolean,
  onRead?: (bytes: number) => void,
): Promise<void> {
  const file = basename(path);
  let record = -1;
  let going = true;
  const parts: JsonParts = new JsonParts(kind, {
    part(part) {
      if (!going) return;
      record++;
      const text = part.bytes.toString();
      try {
        going = take(parseJson(kind === "list" ? text : `{${text}}`), part);
        parts.trust();
      } catch (error) {
        // A piece of a damaged record was named with it.
        if (!part.doubtful) problems.add({ file, record, ...asinIn(text), what: messageOf(error) });
      }
    },
    damage(what, offset) {
      if (!going) return;
      record++;
      problems.add({ file, record, what: `${what}; skipped from byte ${offset}` });
    },
  });
  let broken: string | undefined;
  try {
    for await (const chunk of readChunks(path, onRead)) {
      parts.push(chunk);
      if (!going) return;
    }
    broken = parts.end();
  } catch (error) {
    broken = `the file cannot be read further (${messageOf(error)})`;
  }
  if (broken !== undefined) problems.add({ file, record: record + 1, what: `${broken}; ${record + 1} records were found` });
}

/** ASIN of a record that cannot be read as a whole, when it can be seen. */
function asinIn(text: string): { readonly asin?: string } {
  const asin = /"asin"\s*:\s*"([^"\\]{1,20})"/.exec(text)?.[1];
  return asin === undefined ? {} : { asin };
}

const NUMBER_NAME = /^\d+$/;

/** The record with its option groups in the order of the file. */
function withOrderedOptions(record: unknown, bytes: Uint8Array): unknown {
  const field = "customization_options";
  const options = (record as Readonly<Record<string, unknown>>)[field];
  if (typeof options !== "object" || options === null || !Object.keys(options).some((name) => NUMBER_NAME.test(name))) return record;
  const groups = options as Readonly<Record<string, unknown>>;
  return { ...(record as object), [field]: new Map(namesInOrder(bytes, field).map((name) => [name, groups[name]])) };
}

/** Entries of an object file by ASIN, as the text `"asin": value` of each: small, and parsed when they are needed. */
export async function readEntries(path: string, problems: Problems): Promise<ReadonlyMap<string, string>> {
  const entries = new Map<string, string>();
  await readParts(path, "object", problems, (value, { bytes }) => {
    for (const asin of Object.keys(value as object)) entries.set(asin, bytes.toString());
    return true;
  });
  return entries;
}

/** The value of an entry, undefined when there is none. */
export function entryValue(entries: ReadonlyMap<string, string>, asin: string): unknown {
  const text = entries.get(asin);
  return text === undefined ? undefined : (parseJson(`{${text}}`) as Readonly<Record<string, unknown>>)[asin];
}

export interface ReadingOptions {
  /** Records of the file that count, all by default. */
  readonly limit?: number | undefined;
  readonly problems: Problems;
  /** Gets the bytes of the product file that were read. */
  readonly onRead?: (bytes: number) => void;
}

/** Reads the products in file order. */
export async function readListings(
  files: DataFiles,
  { limit, problems, onRead }: ReadingOptions,
  take: (listing: Listing) => void,
): Promise<void> {
  const entries = await readEntries(files.attributes, problems);
  const file = basename(files.attributes);
  /** A part of a product's entry, or what stands for it when the entry cannot be read. */
  const read = <T>(asin: string, part: () => T, otherwise: T): T => {
    try {
      return part();
    } catch (error) {
      problems.add({ file, record: [...entries.keys()].indexOf(asin), asin, what: messageOf(error) });
      return otherwise;
    }
  };
  const admission = new Admission(limit);
  await readParts(
    files.items,
    "list",
    problems,
    (record, { bytes }) => {
      let asin: string;
      try {
        asin = asinOf(record);
      } catch (error) {
        admission.refuse();
        throw error;
      }
      if (!admission.admit(asin)) return !admission.full;
      const row = entryValue(entries, asin);
      const attributes = read(asin, () => attributesOf(row, asin), attributesOf(undefined, asin));
      const product = parseProduct(withOrderedOptions(record, bytes), attributes);
      take({ product, instruction: read(asin, () => instructionOf(row, asin), undefined) });
      return !admission.full;
    },
    onRead,
  );
}

/** What people asked for, by position of the product, in the order of the file. */
export async function readHumanInstructions(
  path: string,
  problems: Problems,
  find: (asin: string) => number | undefined,
): Promise<ReadonlyMap<number, readonly HumanInstruction[]>> {
  const instructions = new Map<number, readonly HumanInstruction[]>();
  await readParts(path, "object", problems, (value) => {
    for (const [asin, rows] of Object.entries(value as object)) {
      const position = find(asin);
      if (position !== undefined) instructions.set(position, humanInstructionsOf(rows, asin));
    }
    return true;
  });
  return instructions;
}
