/**
 * Opens a folder of WebShop data. Small sets are read into memory; for a large one an index is made on the disk once, beside the data or,
 * where that cannot be written, in the user's cache folder, and is made again when the data have changed.
 */
import { createHash } from "node:crypto";
import { closeSync, existsSync, mkdirSync, openSync, readSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { SiriError } from "../../../errors.js";
import { cacheFolder } from "../../cache-folder.js";
import type { HumanInstruction } from "../types.js";
import { type DataFiles, findData } from "./data-files.js";
import { type DiskStock, openDiskStock } from "./disk.js";
import { type BuildProgress, buildIndex } from "./disk-build.js";
import { type Listing, readHumanInstructions, readListings } from "./listings.js";
import { memoryStock } from "./memory.js";
import { type Problem, Problems } from "./problems.js";
import type { ShopStock } from "./stock.js";

export interface OpenOptions {
  /** Folder that holds the files under their published names, plain or with .gz. */
  readonly data: string;
  /** "1000": the small set; "all": the full one; a number: the first so many records. Absent: the small set when it is there. */
  readonly products?: number | "1000" | "all" | undefined;
  /** Folder for the index of a large set where the data folder cannot be written; the user's cache folder by default. */
  readonly cache?: string | undefined;
  /** Is told how the making of an index goes on. */
  readonly onProgress?: ((progress: BuildProgress) => void) | undefined;
  /** Is told of everything that is wrong with the data and was gone around. */
  readonly onProblem?: ((problem: Problem) => void) | undefined;
}

/** A set of more records than this is served from the disk. */
const MEMORY_RECORDS = 10_000;

/** @throws SiriError WEBSHOP_DATA, WEBSHOP_INDEX */
export async function openCatalogue(options: OpenOptions): Promise<ShopStock> {
  const { data, products, onProblem } = options;
  if (typeof products === "number" && !(Number.isInteger(products) && products > 0))
    throw new SiriError("WEBSHOP_DATA", `WebShop data: the number of products is ${products}; it must be a whole number from 1`);
  const files = findData(data, products);
  const problems = new Problems(onProblem);
  const limit = typeof products === "number" ? products : undefined;
  if (files.small || (limit ?? Number.POSITIVE_INFINITY) <= MEMORY_RECORDS) return await openInMemory(files, limit, problems);
  const stock = await openOnDisk(files, limit, problems, options);
  const human = await readHumans(files, problems, stock.find);
  return { ...stock, humanInstructions: (position) => human.get(position) ?? [], problems };
}

async function openInMemory(files: DataFiles, limit: number | undefined, problems: Problems): Promise<ShopStock> {
  const listings: Listing[] = [];
  await readListings(files, { limit, problems }, (listing) => listings.push(listing));
  if (listings.length === 0) throw new SiriError("WEBSHOP_DATA", `WebShop data: no product could be read from '${files.items}'`);
  const positions = new Map(listings.map(({ product }, position) => [product.asin, position]));
  return memoryStock(listings, { problems, humanInstructions: await readHumans(files, problems, (asin) => positions.get(asin)) });
}

async function readHumans(
  files: DataFiles,
  problems: Problems,
  find: (asin: string) => number | undefined,
): Promise<ReadonlyMap<number, readonly HumanInstruction[]>> {
  return files.humans === undefined ? new Map() : await readHumanInstructions(files.humans, problems, find);
}

/** Raise when products are read differently, or searched differently. */
const RULES = 1;
const SAMPLE = 2 ** 16;
const SAMPLES = 8;

/** Tells one content of a file from another without reading it all: size, time of the last change, and what stands at some places. */
function stampOf(path: string) {
  const { size, mtimeMs } = statSync(path);
  const hash = createHash("sha256");
  const bytes = Buffer.alloc(SAMPLE);
  const file = openSync(path, "r");
  try {
    for (let i = 0; i < SAMPLES; i++) {
      const offset = Math.floor((Math.max(0, size - SAMPLE) * i) / (SAMPLES - 1));
      hash.update(bytes.subarray(0, readSync(file, bytes, 0, SAMPLE, offset)));
    }
  } finally {
    closeSync(file);
  }
  return { name: basename(path), size, modified: mtimeMs, samples: hash.digest("hex") };
}

async function openOnDisk(files: DataFiles, limit: number | undefined, problems: Problems, options: OpenOptions): Promise<DiskStock> {
  const source = { rules: RULES, items: stampOf(files.items), attributes: stampOf(files.attributes), limit: limit ?? null };
  const suffix = `${limit === undefined ? "" : `.${limit}`}.siri-index`;
  const key = createHash("sha256").update(resolve(files.items)).digest("hex").slice(0, 16);
  const paths = [`${files.items}${suffix}`, join(options.cache ?? cacheFolder("webshop"), `${key}${suffix}`)];
  for (const path of paths) {
    const stock = openFresh(path, source);
    if (!stock) continue;
    problems.repeat(stock.problems);
    return stock;
  }
  const refusals: string[] = [];
  for (const path of paths) {
    try {
      mkdirSync(dirname(path), { recursive: true });
      await buildIndex(files, path, { limit, source, problems, onProgress: options.onProgress });
      return openDiskStock(path);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "EACCES" && code !== "EROFS" && code !== "EPERM") throw indexError(path, error);
      refusals.push(`${dirname(path)} (${code})`);
    }
  }
  throw new SiriError(
    "WEBSHOP_INDEX",
    `the catalogue index can be written neither to ${refusals.join(" nor to ")}; give a cache folder that can be written, with about two thirds of the size of '${files.items}' free`,
  );
}

function indexError(path: string, error: unknown): unknown {
  if (error instanceof SiriError) return error;
  const { code } = error as NodeJS.ErrnoException;
  const reason =
    code === "ENOSPC" ? "the disk is full; it takes about two thirds of the size of the product file" : (error as Error).message;
  return new SiriError("WEBSHOP_INDEX", `the catalogue index '${path}' cannot be made: ${reason}`, { cause: error });
}

/** The index at a place when it is sound and of these data; one that is not is made anew. */
function openFresh(path: string, source: unknown): DiskStock | undefined {
  if (!existsSync(path)) return undefined;
  let stock: DiskStock;
  try {
    stock = openDiskStock(path);
  } catch {
    return undefined;
  }
  if (isDeepStrictEqual(stock.about.source, source)) return stock;
  stock.close();
  return undefined;
}
