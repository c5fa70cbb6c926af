/**
 * Where a compiled engine may lie, best first: the file in SIRI_NATIVE and nothing else, or the build of this package and then the
 * platform package that npm installed beside it. Says why a place is out of the question; opens and loads nothing.
 */
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { libcOf } from "./binary.js";

/** A file to load, or (without `path`) a place that has none and the reason, in words that follow its name. */
export type Place =
  | { readonly name: string; readonly path: string }
  | { readonly name: string; readonly path?: undefined; readonly obstacle: string };

/** The platform packages that are published, without their common beginning; package.json lists the same as Rust triples. */
export const PLATFORMS = ["linux-x64-gnu", "linux-arm64-gnu", "darwin-arm64", "win32-x64-msvc"] as const;
const PACKAGE = "@siri-rl/engine-";

/** The package's root: the nearest folder above this file that holds a package.json. */
export function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, "package.json")) && dirname(folder) !== folder) folder = dirname(folder);
  return folder;
}

/** A clone has the TypeScript sources; what npm installs has not. */
export function isClone(root: string): boolean {
  return existsSync(join(root, "tsconfig.build.json"));
}

/** The command that compiles the engine here. */
export function buildCommand(root: string): string {
  return isClone(root) ? "npm run build" : "npx siri build";
}

/** All places in the order in which they are tried. */
export function places(root: string, env: NodeJS.ProcessEnv = process.env): Place[] {
  if (env.SIRI_NATIVE) return [existing("SIRI_NATIVE", env.SIRI_NATIVE)];
  return [existing("local build", join(root, "build", "Release", "siri.node")), platformPackage(root, env)];
}

function existing(kind: string, path: string): Place {
  return existsSync(path) ? { name: `${kind} ${path}`, path } : { name: `${kind} ${path}`, obstacle: "no such file" };
}

function platformPackage(root: string, env: NodeJS.ProcessEnv): Place {
  const platform = platformName();
  const name = `platform package ${PACKAGE}${platform}`;
  if (env.SIRI_BUILD_FROM_SOURCE) return { name, obstacle: "passed over, because SIRI_BUILD_FROM_SOURCE is set" };
  if (!(PLATFORMS as readonly string[]).includes(platform)) {
    const musl = platform.endsWith("-musl") ? "; this system's C library is musl (Alpine), and prebuilt engines need glibc" : "";
    return { name, obstacle: `there is none: engines are built for ${PLATFORMS.join(", ")}${musl}` };
  }
  let manifest: string;
  try {
    manifest = createRequire(join(root, "package.json")).resolve(`${PACKAGE}${platform}/package.json`);
  } catch {
    const reason = isClone(root)
      ? "not installed, as always in a clone"
      : "not installed: npm leaves it out with --omit=optional, or when package-lock.json was written on another platform (then delete it and node_modules, and run npm install)";
    return { name, obstacle: reason };
  }
  const { version, main } = JSON.parse(readFileSync(manifest, "utf8")) as { version: string; main: string };
  const { version: own } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
  if (version !== own) return { name, obstacle: `is version ${version}, and siri-rl is ${own}: run npm install siri-rl@${own}` };
  return existing(name, join(dirname(manifest), main));
}

/** For example linux-x64-gnu: the words of npm for the system and the processor, and what C library or compiler it goes with. */
function platformName(): string {
  const { platform, arch } = process;
  if (platform === "linux") return `linux-${arch}-${libcOf(process.execPath) === "musl" ? "musl" : "gnu"}`;
  return platform === "win32" ? `win32-${arch}-msvc` : `${platform}-${arch}`;
}
