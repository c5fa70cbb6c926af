/**
 * Streams the tensors of a Hugging Face folder, or of an optimiser file, into an engine, one tensor in memory at a time. Compares
 * what the files hold with what the model has and names every difference. Knows no engine: it is given a function to write with.
 */
import { readFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { SiriError } from "../errors.js";
import { SafetensorsFile } from "./safetensors.js";

export interface Tensor {
  readonly name: string;
  readonly shape: readonly number[];
}

/** Tensors that some exporters write although they follow from the config. */
const IGNORED = /rotary_emb\.inv_freq$|\.masked_bias$/;

const MOST_NAMED = 20;

function differences(source: string, expected: readonly Tensor[], found: ReadonlyMap<string, readonly number[]>): SiriError | undefined {
  const lines: string[] = [];
  const names = new Set(expected.map((t) => t.name));
  for (const t of expected) {
    const shape = found.get(t.name);
    if (!shape) lines.push(`missing ${t.name} [${t.shape}]`);
    else if (shape.length !== t.shape.length || shape.some((n, i) => n !== t.shape[i]))
      lines.push(`${t.name}: expected shape [${t.shape}], found [${shape}]`);
  }
  for (const [name, shape] of found) if (!names.has(name)) lines.push(`unexpected ${name} [${shape}]`);
  if (lines.length === 0) return undefined;
  const more = lines.length > MOST_NAMED ? `\n  ... and ${lines.length - MOST_NAMED} more` : "";
  return new SiriError(
    "SIRI_WEIGHTS",
    `${source}: the weights do not fit config.json:\n  ${lines.slice(0, MOST_NAMED).join("\n  ")}${more}\nUse the config.json that belongs to these weights.`,
  );
}

/** The files that hold a folder's weights. */
async function weightFiles(dir: string): Promise<string[]> {
  const single = join(dir, "model.safetensors");
  if (existsSync(single)) return [single];
  const index = join(dir, "model.safetensors.index.json");
  if (!existsSync(index))
    throw new SiriError(
      "SIRI_FILE",
      `${dir} holds neither model.safetensors nor model.safetensors.index.json; is it a Hugging Face model folder?`,
    );
  let map: unknown;
  try {
    map = (JSON.parse(await readFile(index, "utf8")) as { weight_map?: unknown } | null)?.weight_map;
  } catch (e) {
    throw new SiriError("SIRI_FILE", `cannot read ${index}: ${e instanceof Error ? e.message : String(e)}`, { cause: e });
  }
  const names = typeof map === "object" && map !== null ? Object.values(map) : [];
  if (names.length === 0 || !names.every((name): name is string => typeof name === "string"))
    throw new SiriError("SIRI_FILE", `${index} has no weight_map from tensors to file names; download it again`);
  return [...new Set(names)].map((name) => join(dir, name));
}

/** A folder's weights, open for reading one by one. */
export interface WeightFiles {
  read(name: string): Promise<Float32Array>;
  close(): Promise<void>;
}

/** Throws SIRI_FILE (unreadable or truncated) or SIRI_WEIGHTS (missing, unexpected or misshapen tensors, each named). */
export async function openWeights(dir: string, expected: readonly Tensor[]): Promise<WeightFiles> {
  const files: SafetensorsFile[] = [];
  const close = async () => {
    for (const file of files) await file.close();
  };
  try {
    const where = new Map<string, SafetensorsFile>();
    const found = new Map<string, readonly number[]>();
    const tied = !expected.some((t) => t.name === "lm_head.weight");
    for (const path of await weightFiles(dir)) {
      const file = await SafetensorsFile.open(path);
      files.push(file);
      for (const entry of file.entries.values()) {
        // A tied head that was written all the same is the embedding once more.
        if (IGNORED.test(entry.name) || (tied && entry.name === "lm_head.weight")) continue;
        found.set(entry.name, entry.shape);
        where.set(entry.name, file);
      }
    }
    const error = differences(dir, expected, found);
    if (error) throw error;
    return { read: (name) => where.get(name)!.readFloat32(name), close };
  } catch (e) {
    await close();
    throw e;
  }
}

/** Hands every expected tensor of a folder to `write`, in their order. Throws what openWeights() throws. */
export async function loadWeights(
  dir: string,
  expected: readonly Tensor[],
  write: (name: string, data: Float32Array) => Promise<void>,
): Promise<void> {
  const weights = await openWeights(dir, expected);
  try {
    for (const { name } of expected) await write(name, await weights.read(name));
  } finally {
    await weights.close();
  }
}

/** Reads a file of saveOptimiser(); returns the step count. */
export async function loadOptimiserTensors(
  path: string,
  tensors: readonly Tensor[],
  write: (store: "moment1" | "moment2", name: string, data: Float32Array) => Promise<void>,
): Promise<number> {
  const file = await SafetensorsFile.open(path);
  try {
    const step = Number(file.metadata.step);
    if (file.metadata.format !== "siri-optimiser" || !Number.isSafeInteger(step))
      throw new SiriError("SIRI_FILE", `${path} is not an optimiser file of this program (metadata format "${file.metadata.format}")`);
    const stores = ["moment1", "moment2"] as const;
    const expected = stores.flatMap((store) => tensors.map((t) => ({ name: `${store}.${t.name}`, shape: t.shape })));
    const error = differences(path, expected, new Map([...file.entries.values()].map((e) => [e.name, e.shape])));
    if (error) throw error;
    for (const store of stores) for (const t of tensors) await write(store, t.name, await file.readFloat32(`${store}.${t.name}`));
    return step;
  } finally {
    await file.close();
  }
}
