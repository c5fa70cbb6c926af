/**
 * Finds, tries and loads the compiled engine, and keeps the account of it: which file, why that one, what was passed over. What the
 * engine offers is native.ts's.
 */
import { createRequire } from "node:module";
import { SiriError } from "../errors.js";
import { obstacleInFile } from "./binary.js";
import { buildCommand, packageRoot, type Place, places } from "./places.js";
import { type Trial, tryBinary } from "./trial.js";

/** The engine in this process. */
export interface LoadedBinary {
  readonly addon: object;
  readonly name: string;
  readonly path: string;
  readonly how: Trial["how"];
  /** Places that come before it, each with the reason why it is not from there. */
  readonly passedOver: readonly string[];
}

/**
 * Loads the engine from the first place that has one that works; root is the package's folder.
 * @throws SiriError SIRI_NATIVE with every place, its reason, and the command that builds from source
 */
export function loadBinary(root: string = packageRoot(), env: NodeJS.ProcessEnv = process.env): LoadedBinary {
  const passedOver: string[] = [];
  for (const place of places(root, env)) {
    const outcome = load(place, env);
    if (typeof outcome !== "string") return { ...outcome, name: place.name, passedOver };
    passedOver.push(`${place.name}: ${outcome}`);
  }
  const list = passedOver.map((line) => `\n  ${line}`).join("");
  const otherwise = env.SIRI_NATIVE ? " (or unset SIRI_NATIVE)" : "";
  throw new SiriError("SIRI_NATIVE", `cannot load the compiled engine. Tried:${list}\nBuild it with: ${buildCommand(root)}${otherwise}`);
}

/** The addon, or the reason why the place has none that works. */
function load(place: Place, env: NodeJS.ProcessEnv): Pick<LoadedBinary, "addon" | "path" | "how"> | string {
  if (place.path === undefined) return place.obstacle;
  try {
    const obstacle = obstacleInFile(place.path);
    if (obstacle !== undefined) return obstacle;
    const { how, reason } = tryBinary(place.path, env);
    if (reason !== undefined) return explained(reason);
    const addon: unknown = createRequire(import.meta.url)(place.path);
    if (typeof addon !== "object" || addon === null || !("Engine" in addon)) return "is an addon, but not the engine of siri-rl";
    return { addon, path: place.path, how };
  } catch (error) {
    return explained(String(error instanceof Error ? error.message : error).split("\n")[0]!);
  }
}

/** What a dynamic linker's message means, where it is known to puzzle. */
function explained(reason: string): string {
  const glibc = /version [`']GLIBC_([\d.]+)'/.exec(reason);
  if (glibc !== null) return `${reason} (it needs glibc ${glibc[1]} or newer; ldd --version tells what this system has)`;
  return reason;
}
