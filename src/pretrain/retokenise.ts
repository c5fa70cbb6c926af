/**
 * Gives a policy another tokenizer of the same size: a token that both have keeps its embedding, a new one starts as the mean of the
 * pieces that the old tokenizer makes of it. All else of the policy is copied. Training then goes on with words that are one token each.
 */
import { copyFile, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { SiriError } from "../errors.js";
import { SafetensorsFile } from "../policy/safetensors.js";
import { BYTE_TO_CHARACTER, Tokenizer } from "../policy/tokenizer.js";
import { ADDED_TOKENS } from "./base.js";
import { trainBpe } from "./bpe.js";

const WEIGHTS = "model.safetensors";
const TOKENIZER = "tokenizer.json";
/** Tensors of [tokens, hidden] whose rows are tokens. */
const BY_TOKEN = ["model.embed_tokens.weight", "lm_head.weight"];

/**
 * Writes the folder `to`: the policy of `from` with a tokenizer trained on `texts`.
 * @throws SiriError PRETRAIN_RETOKENISE when the policy is not of the kind that `siri pretrain` makes (its added tokens, bfloat16)
 */
export async function retokenise(from: string, to: string, texts: Iterable<string>): Promise<Tokenizer> {
  const refuse = (what: string) => new SiriError("PRETRAIN_RETOKENISE", `${from} cannot get another tokenizer: ${what}`);
  const old = await Tokenizer.load(from);
  const missing = [...ADDED_TOKENS.special, ...ADDED_TOKENS.markup].find((token) => old.tokenId(token) === undefined);
  if (missing !== undefined) throw refuse(`its own has no ${missing}; name a policy that siri pretrain made`);

  const file = await SafetensorsFile.open(join(from, WEIGHTS));
  const tensors = BY_TOKEN.flatMap((name) => file.entries.get(name) ?? []);
  const dataBytes = Math.max(...[...file.entries.values()].map(({ end }) => end));
  await file.close();
  const other = tensors.find(({ dtype }) => dtype !== "BF16");
  if (other !== undefined) throw refuse(`${other.name} is ${other.dtype}; siri pretrain writes BF16`);

  await mkdir(to, { recursive: true });
  for (const name of await readdir(from))
    if (name.endsWith(".json") && name !== TOKENIZER) await copyFile(join(from, name), join(to, name));
  const rows = tensors[0]!.shape[0]!;
  const json = trainBpe(texts, ADDED_TOKENS, { maxVocabulary: rows, minFrequency: 8 });
  await writeFile(join(to, TOKENIZER), `${JSON.stringify(json)}\n`);

  // Not in the order of the object, which puts tokens that are digits first.
  const sources: (readonly number[])[] = [];
  const { vocab } = json.model as { readonly vocab: Readonly<Record<string, number>> };
  for (const [token, id] of Object.entries(vocab)) sources[id] = piecesOf(token, old);
  const bytes = await readFile(join(from, WEIGHTS));
  const dataStart = bytes.length - dataBytes;
  for (const { begin, end, shape } of tensors) {
    const table = bytes.subarray(dataStart + begin, dataStart + end);
    mapRows(table, shape[1]!, sources);
  }
  await writeFile(join(to, WEIGHTS), bytes);
  return Tokenizer.load(to);
}

const CHARACTER_TO_BYTE = new Map(BYTE_TO_CHARACTER.map((character, byte) => [character, byte]));

/** Ids that the old tokenizer has for a token of the new one: one where both have it. */
function piecesOf(token: string, old: Tokenizer): readonly number[] {
  const same = old.tokenId(token);
  if (same !== undefined) return [same];
  const text = Buffer.from([...token].map((character) => CHARACTER_TO_BYTE.get(character)!)).toString("utf8");
  return [...old.encode(text)];
}

/** Row i becomes the mean of the old rows `sources[i]`; rows beyond the list stay. `table`: bfloat16 [rows, width]. */
function mapRows(table: Buffer, width: number, sources: readonly (readonly number[])[]): void {
  const old = Buffer.from(table);
  const bits = new Uint32Array(1);
  const float = new Float32Array(bits.buffer);
  sources.forEach((rows, i) => {
    for (let column = 0; column < width; column++) {
      let sum = 0;
      for (const row of rows) {
        bits[0] = old.readUInt16LE(2 * (row * width + column)) << 16;
        sum += float[0]!;
      }
      float[0] = sum / rows.length;
      // Nearest, ties to even; weights are finite.
      const word = bits[0]!;
      table.writeUInt16LE(((word + 0x7fff + ((word >>> 16) & 1)) >>> 16) & 0xffff, 2 * (i * width + column));
    }
  });
}
