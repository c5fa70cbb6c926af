/** Opens a folder of WebShop data: small sets into memory, large ones through an index on the disk. */
import { SiriError } from "../../../errors.js";
import { findData } from "./data-files.js";
import { type Listing, readHumanInstructions, readListings } from "./listings.js";
import { memoryStock } from "./memory.js";
import { type Problem, Problems } from "./problems.js";
import type { ShopStock } from "./stock.js";

export interface OpenOptions {
  /** Folder that holds the files under their published names, plain or with .gz. */
  readonly data: string;
  /** "1000": the small set; "all": the full one; a number: the first so many records. Absent: the small set when it is there. */
  readonly products?: number | "1000" | "all" | undefined;
  /** Is told of everything that is wrong with the data and was gone around. */
  readonly onProblem?: (problem: Problem) => void;
}

/** @throws SiriError WEBSHOP_DATA */
export async function openCatalogue({ data, products, onProblem }: OpenOptions): Promise<ShopStock> {
  if (typeof products === "number" && !(Number.isInteger(products) && products > 0))
    throw new SiriError("WEBSHOP_DATA", `WebShop data: the number of products is ${products}; it must be a whole number from 1`);
  const files = findData(data, products);
  const problems = new Problems(onProblem);
  const limit = typeof products === "number" ? products : undefined;
  const listings: Listing[] = [];
  await readListings(files, { limit, problems }, (listing) => listings.push(listing));
  if (listings.length === 0) throw new SiriError("WEBSHOP_DATA", `WebShop data: no product could be read from '${files.items}'`);
  const positions = new Map(listings.map(({ product }, position) => [product.asin, position]));
  const humanInstructions =
    files.humans === undefined ? undefined : await readHumanInstructions(files.humans, problems, (asin) => positions.get(asin));
  return memoryStock(listings, { problems, ...(humanInstructions && { humanInstructions }) });
}
