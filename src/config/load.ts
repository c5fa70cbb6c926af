/**
 * From a YAML run file and overrides of the command line to a checked configuration; and back to YAML. Everything that is wrong is told
 * at once, each with its place. Knows nothing of what a key means: that is the schema's.
 */
import { readFileSync } from "node:fs";
import { dirname, isAbsolute, relative, resolve, sep } from "node:path";
import { isMap, isNode, isScalar, isSeq, LineCounter, parseDocument, type YAMLMap, type YAMLParseError } from "yaml";
import type { z } from "zod";
import { SiriError } from "../errors.js";
import { listKeys, nearestKey } from "./keys.js";
import { type Config, configSchema } from "./schema.js";

export interface LoadOptions {
  /** Path of the run file, as the user gave it. */
  readonly file: string;
  /** `a.b=value`, in order; the value is read as YAML. */
  readonly set?: readonly string[];
  readonly seed?: number;
  readonly name?: string;
}

/** One thing that is wrong, with the place a user can go to. */
interface Problem {
  readonly where: string;
  readonly message: string;
  /** Order in the report: position in the file; overrides come after it. */
  readonly order: number;
}

/** A value as it stands in the run file or in overrides. */
type Tree = { [key: string]: unknown };

/**
 * Reads and checks a configuration. Paths in it (`model.path`, an `environment.name` that is a file) come back absolute; in the run
 * file they are relative to that file, on the command line to the working folder.
 * @throws SiriError CONFIG_FILE when the file cannot be read, CONFIG_INVALID with every problem, one per line
 */
export function loadConfig(options: LoadOptions): Config {
  const { file } = options;
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code === "ENOENT" ? "there is no such file" : (error as Error).message;
    throw new SiriError("CONFIG_FILE", `Cannot read the run file ${file}: ${why}. Name one with --config.`, { cause: error });
  }
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return `${file}:${line}:${col}`;
  };
  if (document.errors.length > 0) {
    throw invalid(document.errors.map((error) => ({ where: at(error.pos[0]), message: yamlMessage(error, text), order: error.pos[0] })));
  }
  const contents = document.contents;
  if (contents !== null && !isMap(contents) && !(isScalar(contents) && contents.value === null)) {
    throw invalid([{ where: at(0), message: "a run file is a list of `key: value` lines", order: 0 }]);
  }

  const problems: Problem[] = [];
  let values: unknown;
  try {
    values = document.toJS();
  } catch (error) {
    throw new SiriError("CONFIG_INVALID", `${file}: ${(error as Error).message}`, { cause: error }); // an alias without its anchor
  }
  let tree = resolvePaths((values ?? {}) as Tree, dirname(file));
  const overrides: Override[] = (options.set ?? []).map(parseOverride);
  if (options.seed !== undefined) overrides.push({ flag: "--seed", path: ["seed"], value: options.seed });
  if (options.name !== undefined) overrides.push({ flag: "--name", path: ["run", "name"], value: options.name });
  for (const { path, value } of overrides) tree = place(tree, path, valueAt(resolvePaths(place({}, path, value), "."), path));

  const locate = (path: readonly PropertyKey[]): { where: string; order: number } => {
    const override = overrides.findLastIndex((one) => isPrefix(one.path, path) || isPrefix(path, one.path));
    if (override >= 0) return { where: overrides[override]!.flag, order: text.length + override };
    const offset = (isMap(contents) ? locateInFile(contents, path) : null) ?? 0;
    return { where: at(offset), order: offset };
  };
  const result = configSchema.safeParse(tree);
  if (result.success) return result.data;
  for (const issue of result.error.issues) problems.push(...explain(issue, tree, locate));
  throw invalid(problems);
}

/** What the YAML library says, where that speaks to a programmer, in the words of a user. */
function yamlMessage(error: YAMLParseError, text: string): string {
  if (error.code === "MULTIPLE_DOCS") return "a run file is one YAML document: remove this `---` and what follows it, or join the two";
  if (error.code === "DUPLICATE_KEY") {
    return `${/^[^\s:]+/.exec(text.slice(error.pos[0]))?.[0] ?? "a key"} stands here for the second time: keep one of the two`;
  }
  return error.message;
}

interface Override {
  readonly flag: string;
  readonly path: readonly string[];
  readonly value: unknown;
}

function parseOverride(text: string): Override {
  const flag = `--set ${text}`;
  const equals = text.indexOf("=");
  const path = text.slice(0, Math.max(0, equals)).split(".");
  if (equals < 0 || path.some((key) => key === "")) {
    throw new SiriError("CONFIG_INVALID", `${flag}: expected section.key=value, for example --set rollout.groups=8`);
  }
  const document = parseDocument(text.slice(equals + 1));
  if (document.errors.length > 0) {
    throw new SiriError("CONFIG_INVALID", `${flag}: the value is not YAML: ${document.errors[0]!.message.split("\n")[0]}`);
  }
  try {
    return { flag, path, value: document.toJS() };
  } catch (error) {
    throw new SiriError("CONFIG_INVALID", `${flag}: ${(error as Error).message}`, { cause: error });
  }
}

/** A copy of the tree with one value put in; what is no section on the way there is replaced by one. */
function place(tree: Tree, path: readonly string[], value: unknown): Tree {
  const [key, ...rest] = path;
  if (key === undefined) return tree;
  const below = Object.hasOwn(tree, key) ? tree[key] : undefined;
  return { ...tree, [key]: rest.length === 0 ? value : place(isTree(below) ? below : {}, rest, value) };
}

function valueAt(tree: Tree, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((node, key) => (typeof node === "object" && node !== null ? (node as Tree)[key as string] : undefined), tree);
}

function isTree(value: unknown): value is Tree {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isPrefix(short: readonly PropertyKey[], long: readonly PropertyKey[]): boolean {
  return short.length <= long.length && short.every((key, index) => key === String(long[index]));
}

/** Offset of the node at a path: of its key or list item where there is one, else of the nearest thing around it; null: none. */
function locateInFile(root: YAMLMap, path: readonly PropertyKey[]): number | null {
  let node: unknown = root;
  let offset: number | null = null;
  for (const key of path) {
    let found: unknown;
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(key));
      found = pair?.key;
      node = pair?.value;
    } else {
      found = isSeq(node) && typeof key === "number" ? node.items[key] : undefined;
      node = found;
    }
    if (!isNode(found)) return offset;
    offset = found.range?.[0] ?? offset;
  }
  return offset;
}

type Issue = z.core.$ZodIssue;

function explain(issue: Issue, tree: Tree, locate: (path: readonly PropertyKey[]) => { where: string; order: number }): Problem[] {
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({ ...locate([...issue.path, key]), message: unknownKey([...issue.path, key].join(".")) }));
  }
  const key = issue.path.join(".");
  const value = valueAt(tree, issue.path);
  const place = locate(issue.path);
  if (value === undefined && issue.code !== "custom") return [{ ...place, message: `${key} is missing: it has no default` }];
  const given = value === undefined ? "" : ` (it is ${typeof value === "number" ? value : JSON.stringify(value)})`;
  const what = issue.message.replace(/^Invalid (input|option): /, "").replace(/^Too (small|big): /, "");
  return [{ ...place, message: `${key}: ${what}${given}` }];
}

function unknownKey(wrong: string): string {
  const keys = listKeys(configSchema);
  const nearest = nearestKey(
    wrong,
    keys.map((key) => key.path),
  );
  if (nearest !== null) return `unknown key ${wrong}: did you mean ${nearest}?`;
  const section = wrong.slice(0, Math.max(0, wrong.lastIndexOf(".")));
  const siblings = keys.map((key) => key.path).filter((path) => path.slice(0, Math.max(0, path.lastIndexOf("."))) === section);
  return `unknown key ${wrong}: ${section === "" ? "the keys are" : `${section} has`} ${siblings.map((path) => path.slice(path.lastIndexOf(".") + 1)).join(", ")}`;
}

function invalid(problems: readonly Problem[]): SiriError {
  const sorted = [...problems].sort((a, b) => a.order - b.order);
  const list = sorted.map(({ where, message }) => `${where}: ${message}`);
  const head = list.length === 1 ? "" : `${list.length} problems in the configuration:\n`;
  return new SiriError("CONFIG_INVALID", head + list.join("\n"));
}

/** Keys that hold paths. A module of one's own is told from a registered environment by being written as a path. */
function mapPaths<T extends Tree>(tree: T, change: (path: string) => string): T {
  const { model, environment } = tree as Tree;
  const copy: Tree = { ...tree };
  if (isTree(model) && typeof model.path === "string") copy.model = { ...model, path: change(model.path) };
  if (isTree(environment) && typeof environment.name === "string" && /[\\/]|\.[cm]?[jt]s$/.test(environment.name)) {
    copy.environment = { ...environment, name: change(environment.name) };
  }
  return copy as T;
}

function resolvePaths(tree: Tree, folder: string): Tree {
  return isTree(tree) ? mapPaths(tree, (path) => resolve(folder, path)) : tree;
}

/** The configuration as it is written into a folder: its paths relative to that folder, so that the file can be loaded from there. */
export function configForFolder(config: Config, folder: string): Config {
  return mapPaths(config as unknown as Tree, (path) => {
    const short = relative(resolve(folder), path);
    return isAbsolute(short) ? path : short.split(sep).join("/");
  }) as unknown as Config;
}
