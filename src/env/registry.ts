/** Environments by name, or from a module of the user's own. Each is loaded when it is asked for. */
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { SiriError } from "../errors.js";
import type { EnvironmentModule } from "./environment.js";

export interface EnvironmentSpec {
  /** A registered name, or a path (it holds a slash or ends in .js, .mjs, .ts, ...), which then means the same as `module`. */
  readonly name?: string;
  /** Path of a module, against the current directory. Its default export is an EnvironmentModule or a function that makes one. */
  readonly module?: string;
  /** Handed to the environment as they are. */
  readonly options?: Readonly<Record<string, unknown>>;
}

type Maker = (options: Readonly<Record<string, unknown>>) => EnvironmentModule | Promise<EnvironmentModule>;

const REGISTERED: Readonly<Record<string, () => Promise<{ readonly default: unknown }>>> = {
  alfworld: () => import("./alfworld/index.js"),
  household: () => import("./household/index.js"),
  shop: () => import("./shop/index.js"),
  webshop: () => import("./webshop/index.js"),
};

export const environmentNames: readonly string[] = Object.keys(REGISTERED);

const isPath = (name: string): boolean => /[\\/]|\.[cm]?[jt]s$/.test(name);

/** @throws SiriError CONFIG_ENVIRONMENT: unknown name, a module that cannot be loaded, or one that lacks a part of an environment. */
export async function loadEnvironment({ name, module, options = {} }: EnvironmentSpec): Promise<EnvironmentModule> {
  const path = module ?? (name !== undefined && isPath(name) ? name : undefined);
  if (path !== undefined) return make(await importModule(path), `module '${path}'`, options);
  if (name === undefined)
    throw new SiriError("CONFIG_ENVIRONMENT", `environment: give a name (${environmentNames.join(", ")}) or a module`);
  const load = Object.hasOwn(REGISTERED, name) ? REGISTERED[name] : undefined;
  if (!load) {
    throw new SiriError(
      "CONFIG_ENVIRONMENT",
      `unknown environment '${name}'; there are ${environmentNames.join(", ")}, or give the path of a module`,
    );
  }
  return make((await load()).default, `environment '${name}'`, options);
}

async function importModule(path: string): Promise<unknown> {
  try {
    const loaded = (await import(pathToFileURL(resolve(path)).href)) as { readonly default?: unknown };
    return loaded.default;
  } catch (error) {
    throw new SiriError(
      "CONFIG_ENVIRONMENT",
      `environment module '${path}' cannot be loaded: ${error instanceof Error ? error.message : String(error)}`,
      {
        cause: error,
      },
    );
  }
}

async function make(exported: unknown, what: string, options: Readonly<Record<string, unknown>>): Promise<EnvironmentModule> {
  if (exported === undefined) throw new SiriError("CONFIG_ENVIRONMENT", `${what} has no default export; export an environment as default`);
  return checked(typeof exported === "function" ? await (exported as Maker)(options) : exported, what);
}

function checked(value: unknown, what: string): EnvironmentModule {
  if (typeof value !== "object" || value === null) {
    throw new SiriError(
      "CONFIG_ENVIRONMENT",
      `${what}: the default export gives ${value === null ? "null" : typeof value}, not an environment`,
    );
  }
  const found = value as Record<string, unknown>;
  const isNames = (list: unknown) => Array.isArray(list) && list.every((item) => typeof item === "string" && item !== "");
  const wrong: string[] = [];
  if (typeof found.name !== "string" || found.name === "") wrong.push("name (a text)");
  if (!isNames(found.splits)) wrong.push("splits (a list of names)");
  if (!isNames(found.evalSplits) || (found.evalSplits as string[]).length === 0) wrong.push("evalSplits (a list of at least one name)");
  if (typeof found.tasks !== "function") wrong.push("tasks (a function of a split)");
  if (typeof found.create !== "function") wrong.push("create (a function)");
  if (wrong.length > 0)
    throw new SiriError("CONFIG_ENVIRONMENT", `${what} is no environment; missing or of the wrong kind: ${wrong.join(", ")}`);
  const module = value as EnvironmentModule;
  if (!module.splits.includes("train")) {
    throw new SiriError(
      "CONFIG_ENVIRONMENT",
      `${what}: 'train' must be among its splits, which are ${module.splits.join(", ") || "empty"}`,
    );
  }
  const unknown = module.evalSplits.find((split) => !module.splits.includes(split));
  if (unknown !== undefined) {
    throw new SiriError(
      "CONFIG_ENVIRONMENT",
      `${what}: evaluation split '${unknown}' is not among its splits, which are ${module.splits.join(", ")}`,
    );
  }
  return module;
}
