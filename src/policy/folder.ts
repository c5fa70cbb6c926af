/**
 * A Hugging Face folder's small files: the model's configuration, the tokens that end a reply, and the files that go along when the policy
 * is written again. Knows no weights.
 */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { SiriError } from "../errors.js";
import { checkEos, type ModelConfig, parseModelConfig } from "./model-config.js";

const COMPANIONS = [
  "tokenizer.json",
  "tokenizer_config.json",
  "vocab.json",
  "merges.txt",
  "added_tokens.json",
  "special_tokens_map.json",
  "chat_template.jinja",
  "generation_config.json",
];

/** Files beside the weights, kept by load() for save(): the folder loaded from may be gone by then (a pruned checkpoint). */
export async function readCompanions(dir: string): Promise<Map<string, Uint8Array>> {
  const found = new Map<string, Uint8Array>();
  for (const name of COMPANIONS) {
    try {
      found.set(name, await readFile(join(dir, name)));
    } catch (e) {
      if ((e as NodeJS.ErrnoException).code !== "ENOENT")
        throw new SiriError("SIRI_FILE", `cannot read ${join(dir, name)}: ${(e as Error).message}`, { cause: e });
    }
  }
  return found;
}

/** config.json, checked, and the end tokens: generation_config.json's where it names any. Throws SIRI_FILE, SIRI_MODEL_CONFIG. */
export async function readModelConfig(dir: string): Promise<{ readonly config: ModelConfig; readonly eosTokens: readonly number[] }> {
  const path = join(dir, "config.json");
  const config = parseModelConfig(await readJson(path), path);
  const generation = join(dir, "generation_config.json");
  const eos = existsSync(generation)
    ? ((await readJson(generation)) as { eos_token_id?: number | number[] | null } | null)?.eos_token_id
    : null;
  const eosTokens =
    eos === undefined || eos === null ? config.eosTokens : checkEos(Array.isArray(eos) ? eos : [eos], config.native.vocab, generation);
  return { config, eosTokens };
}

async function readJson(path: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (e) {
    throw new SiriError("SIRI_FILE", `cannot read ${path}: ${e instanceof Error ? e.message : String(e)}`, { cause: e });
  }
  try {
    return JSON.parse(text);
  } catch (e) {
    throw new SiriError("SIRI_FILE", `${path} is not JSON: ${e instanceof Error ? e.message : String(e)}`, { cause: e });
  }
}
