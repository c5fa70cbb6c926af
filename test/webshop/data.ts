/**
 * Reads the WebShop data and goldens for tests. They are not part of the repository: WEBSHOP_DATA names their folder (default
 * ../shared/webshop beside the repository). A test that needs a file asks `haveData` first and is skipped, plainly, without it.
 */
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { gunzipSync } from "node:zlib";

export const dataFolder = process.env.WEBSHOP_DATA ?? resolve(import.meta.dirname, "../../../shared/webshop");

/** Whether all of these files (paths inside the folder) are there; says which one is not. */
export function haveData(...files: readonly string[]): boolean {
  const absent = files.find((file) => !existsSync(join(dataFolder, file)));
  if (absent !== undefined) console.warn(`skipped: no ${absent} in ${dataFolder}; set WEBSHOP_DATA to the folder that holds it`);
  return absent === undefined;
}

function text(file: string): string {
  const bytes = readFileSync(join(dataFolder, file));
  return (file.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString("utf8");
}

/** A JSON file, gzipped or not. The caller names the shape. */
export function readData<T>(file: string): T {
  return JSON.parse(text(file)) as T;
}

/** A file of JSON lines. The caller names the shape of a line. */
export function readDataLines<T>(file: string): T[] {
  return text(file)
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as T);
}
