/** A catalogue on the disk: small tables are in memory, products and postings are read when they are asked for. */
import { z } from "zod";
import { boundedCache } from "../../textworld/cache.js";
import type { ByteSource } from "../search/bytes.js";
import { SearchIndex } from "../search/search-index.js";
import type { HumanInstruction } from "../types.js";
import { IndexFile } from "./index-file.js";
import { bearersOf } from "./names.js";
import { decodeInstruction, decodeProduct } from "./record.js";
import { SEARCH_LIMIT, type ShopStock, unknownProduct } from "./stock.js";

const count = z.number().int().nonnegative();
const aboutSchema = z.strictObject({
  /** What the index was made of. */
  source: z.unknown(),
  products: count,
  statistics: z.strictObject({ docCount: count, sumTotalTermFreq: count, sumDocFreq: count, uniqueTerms: count }),
  problems: z.strictObject({
    count,
    first: z.array(z.strictObject({ file: z.string(), record: count, asin: z.string().exactOptional(), what: z.string() })),
  }),
});

const namesSchema = z.array(z.string());

export type DiskIndexAbout = z.infer<typeof aboutSchema>;

/** Products that are kept as they are. */
const KEPT_PRODUCTS = 4096;
/** Memory for pages of the file, bytes. */
const CACHE_BYTES = 256 * 2 ** 20;

const NONE: readonly HumanInstruction[] = [];

/** Records of different lengths, by position. */
function records(bytes: ByteSource, ends: Float64Array): (position: number) => Uint8Array {
  return (position) => {
    const start = position === 0 ? 0 : ends[position - 1]!;
    return bytes.read(start, ends[position]! - start);
  };
}

/** Finds positions by ASIN. @param ranks place of each position in the order of the ASINs' bytes */
function asinFinder(asins: Buffer, ranks: Uint32Array): (asin: string) => number | undefined {
  const width = asins.length / ranks.length;
  const order = new Uint32Array(ranks.length);
  for (let position = 0; position < ranks.length; position++) order[ranks[position]!] = position;
  return (asin) => {
    const text = Buffer.from(asin);
    if (text.length > width) return undefined;
    const sought = Buffer.alloc(width);
    text.copy(sought);
    let low = 0;
    let high = order.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const start = order[middle]! * width;
      const sign = sought.compare(asins, start, start + width);
      if (sign === 0) return order[middle];
      if (sign < 0) high = middle - 1;
      else low = middle + 1;
    }
    return undefined;
  };
}

/** Without what people asked for, which is a small file of its own. */
export interface DiskStock extends ShopStock {
  readonly about: DiskIndexAbout;
}

/**
 * @param cacheBytes memory for pages of the file
 * @throws SiriError WEBSHOP_INDEX when the file is no sound index, Error of the file system
 */
export function openDiskStock(path: string, cacheBytes = CACHE_BYTES): DiskStock {
  const file = IndexFile.open(path, cacheBytes);
  try {
    return stockOf(file);
  } catch (error) {
    file.close();
    throw error;
  }
}

function stockOf(file: IndexFile): DiskStock {
  const about = aboutSchema.parse(file.about);
  const length = about.products;
  const ranks = new Uint32Array(file.table("ranks"));
  const asins = Buffer.from(file.table("asins"));
  const width = asins.length / length;
  const find = asinFinder(asins, ranks);
  const index = new SearchIndex({
    statistics: about.statistics,
    postings: file.section("postings"),
    entries: file.section("entries"),
    heads: new Uint8Array(file.table("heads")),
    lengths: new Uint8Array(file.table("lengths")),
    ranks,
  });
  const productBytes = records(file.section("products"), new Float64Array(file.table("product ends")));
  const instructionBytes = records(file.section("instructions"), new Float64Array(file.table("instruction ends")));
  const prices = new Float64Array(file.table("prices"));
  const combinations = new Float64Array(file.table("combinations"));
  const products = boundedCache<number, ReturnType<typeof decodeProduct>>(KEPT_PRODUCTS);
  const checked = (position: number): number => {
    if (!(Number.isInteger(position) && position >= 0 && position < length)) throw unknownProduct(position, length);
    return position;
  };
  const bearers = (kind: "category" | "query") =>
    bearersOf(() => ({
      names: namesSchema.parse(JSON.parse(Buffer.from(file.table(`${kind} names`)).toString())),
      numbers: new Uint32Array(file.table(`${kind} of`)),
    }));
  return {
    about,
    length,
    product: (position) => products.get(checked(position), () => decodeProduct(productBytes(position))),
    find,
    search: (query, limit = SEARCH_LIMIT) => index.search(query, limit).map(({ document }) => document),
    inCategory: bearers("category"),
    withQuery: bearers("query"),
    asin(position) {
      const start = checked(position) * width;
      const end = asins.indexOf(0, start);
      return asins.toString("utf8", start, end < 0 || end > start + width ? start + width : end);
    },
    pricing(position) {
      const low = prices[2 * checked(position)]!;
      const high = prices[2 * position + 1]!;
      return Number.isNaN(high) ? [low] : [low, high];
    },
    combinations: (position) => combinations[checked(position)]!,
    instruction(position) {
      const bytes = instructionBytes(checked(position));
      return bytes.length === 0 ? undefined : decodeInstruction(bytes);
    },
    humanInstructions: () => NONE,
    problems: about.problems,
    close: () => file.close(),
  };
}
