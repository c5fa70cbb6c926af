/** Finds the files of a WebShop data folder under their published names, and reads them, gzipped or not. */
import { closeSync, createReadStream, existsSync, openSync, readSync, statSync } from "node:fs";
import { join } from "node:path";
import { createGunzip } from "node:zlib";
import { SiriError } from "../../../errors.js";

export interface DataFiles {
  readonly items: string;
  readonly attributes: string;
  /** Only human goals need it. */
  readonly humans: string | undefined;
  /** Whether these are the first 1,000 products. */
  readonly small: boolean;
}

const SMALL = {
  items: ["items_shuffle_1000.json"],
  attributes: ["items_ins_v2_1000.json"],
  humans: ["items_human_ins_1000.json", "items_human_ins.json"],
};
const FULL = { items: ["items_shuffle.json"], attributes: ["items_ins_v2.json"], humans: ["items_human_ins.json"] };

function find(folder: string, names: readonly string[]): string | undefined {
  return names.flatMap((name) => [join(folder, name), join(folder, `${name}.gz`)]).find((path) => existsSync(path));
}

/**
 * @param products "1000": the small set; "all": the full one; a number: the first so many, of the small set when that is enough.
 * Absent: the small set when it is there, the full one otherwise.
 * @throws SiriError WEBSHOP_DATA
 */
export function findData(folder: string, products: number | "1000" | "all" | undefined): DataFiles {
  if (!existsSync(folder) || !statSync(folder).isDirectory()) {
    throw new SiriError(
      "WEBSHOP_DATA",
      `WebShop data: '${folder}' is not a folder; give the one that holds items_shuffle_1000.json or items_shuffle.json`,
    );
  }
  const small = products === undefined || products === "1000" || (typeof products === "number" && products <= 1000);
  const full = products !== "1000";
  for (const set of [...(small ? [SMALL] : []), ...(full ? [FULL] : [])]) {
    const items = find(folder, set.items);
    if (items === undefined) continue;
    const attributes = find(folder, set.attributes);
    if (attributes === undefined) {
      throw new SiriError(
        "WEBSHOP_DATA",
        `WebShop data: '${items}' is there, but ${set.attributes[0]} (or .gz) is not in '${folder}'; put it beside it`,
      );
    }
    return { items, attributes, humans: find(folder, set.humans), small: set === SMALL };
  }
  const wanted = [...(small ? SMALL.items : []), ...(full ? FULL.items : [])].join(" or ");
  throw new SiriError("WEBSHOP_DATA", `WebShop data: no ${wanted} (or .gz) in '${folder}'; give the folder that holds it`);
}

function isGzip(path: string): boolean {
  const file = openSync(path, "r");
  try {
    const magic = Buffer.alloc(2);
    return readSync(file, magic, 0, 2, 0) === 2 && magic[0] === 0x1f && magic[1] === 0x8b;
  } finally {
    closeSync(file);
  }
}

const CHUNK = 2 ** 20;

/**
 * The bytes of a file, unpacked when it is gzipped (told by its first bytes, not its name).
 * @param onRead gets the bytes read from the disk so far
 * @throws Error when a gzipped file is cut short or damaged
 */
export async function* readChunks(path: string, onRead?: (bytes: number) => void): AsyncGenerator<Uint8Array> {
  const file = createReadStream(path, { highWaterMark: CHUNK });
  let read = 0;
  file.on("data", (chunk) => {
    read += chunk.length;
    onRead?.(read);
  });
  if (!isGzip(path)) {
    yield* file as AsyncIterable<Uint8Array>;
    return;
  }
  const unpacked = createGunzip({ chunkSize: CHUNK });
  file.on("error", (error) => unpacked.destroy(error));
  try {
    yield* file.pipe(unpacked) as AsyncIterable<Uint8Array>;
  } finally {
    file.destroy();
  }
}
