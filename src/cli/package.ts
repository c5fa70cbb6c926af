/** Where this package lies and which version it is. The same answer from src/ and from dist/. */
import { readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";

/** The package's own folder: the one that holds package.json. */
export const PACKAGE_ROOT = dirname(dirname(import.meta.dirname));

export function packageVersion(): string {
  return (JSON.parse(readFileSync(join(PACKAGE_ROOT, "package.json"), "utf8")) as { version: string }).version;
}

/** A file of the package as a path to show and to open: relative to the working folder where that is shorter. */
export function packageFile(path: string): string {
  const whole = join(PACKAGE_ROOT, path);
  const short = relative(process.cwd(), whole);
  return short !== "" && short.length < whole.length ? short : whole;
}
