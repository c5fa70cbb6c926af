/** WebShop (arXiv 2207.01206) from its published data files. This is what a run file's options mean; the shop itself is in the other files. */
import { z } from "zod";
import { SiriError } from "../../errors.js";
import type { EnvironmentModule } from "../environment.js";
import { openCatalogue } from "./catalogue/open.js";
import { describeProblem, type Problem } from "./catalogue/problems.js";
import { type ShopParts, shopModule, shopSettings } from "./module.js";
import { findNounLists, nounsOf, readNounLists } from "./nouns.js";

const dataOptions = z.strictObject({
  /** Folder of the product and instruction files under their published names, gzipped or not; default: the variable WEBSHOP_DATA. */
  data: z.string().min(1).optional(),
  /** `1000`: the small files; `all`: the full ones; a number: the first so many records. Default: the small files when they are there. */
  products: z.union([z.enum(["1000", "all"]), z.number().int().min(1)]).optional(),
  /** File of noun lists by title, see `readNounLists`; default: the one in the data folder, see `findNounLists`. Other titles are tagged. */
  nouns: z.string().min(1).optional(),
});

const webshopOptions = z.strictObject({ ...dataOptions.shape, ...shopSettings.shape });

export type WebshopData = z.input<typeof dataOptions>;
export type WebshopOptions = z.input<typeof webshopOptions>;

/** Problems that a note quotes. */
const QUOTED = 3;

/** @throws SiriError CONFIG_ENVIRONMENT for options it does not know. The data is looked for when it is first needed. */
export default function webshop(options: WebshopOptions = {}): EnvironmentModule {
  const parsed = webshopOptions.safeParse(options);
  if (!parsed.success) throw new SiriError("CONFIG_ENVIRONMENT", `webshop options: ${z.prettifyError(parsed.error)}`);
  const { data, products, nouns, ...settings } = parsed.data;
  return shopModule("webshop", settings, () => openWebshop({ data, products, nouns }));
}

/**
 * Opens the data with the choices of a run file or the command line.
 * @throws SiriError ENVIRONMENT_DATA when no folder is named, WEBSHOP_DATA, WEBSHOP_NOUNS
 */
export async function openWebshop({
  data = process.env.WEBSHOP_DATA,
  products,
  nouns,
}: { [K in keyof WebshopData]: WebshopData[K] | undefined }): Promise<ShopParts> {
  if (data === undefined || data === "") {
    throw new SiriError(
      "ENVIRONMENT_DATA",
      "webshop: no data folder is given. Set WEBSHOP_DATA, the option 'data' or --data to the folder that holds items_shuffle_1000.json or items_shuffle.json.",
    );
  }
  const listed = nouns ?? findNounLists(data);
  const lists = listed === undefined ? undefined : readNounLists(listed);
  const stock = await openCatalogue({ data, products });
  return { stock, nouns: nounsOf(lists), notes: notesOn(stock.problems) };
}

/**
 * The option `products` from the text of a command line.
 * @throws SiriError CONFIG_ENVIRONMENT
 */
export function productsNamed(text: string | undefined): WebshopData["products"] {
  if (text === undefined || text === "1000" || text === "all") return text;
  const count = Number(text);
  if (/^\d+$/.test(text) && count >= 1 && Number.isSafeInteger(count)) return count;
  throw new SiriError("CONFIG_ENVIRONMENT", `--products is '${text}'; give 1000, all, or a whole number from 1`);
}

function notesOn({ count, first }: { readonly count: number; readonly first: readonly Problem[] }): string[] {
  if (count === 0) return [];
  const rest = count > QUOTED ? `; and ${count - QUOTED} more` : "";
  return [
    `webshop: ${count} records of the data cannot be read and are left out: ${first.slice(0, QUOTED).map(describeProblem).join("; ")}${rest}.`,
  ];
}
