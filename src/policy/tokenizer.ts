/**
 * Text to tokens and back for a Hugging Face folder: tokenizer.json through @huggingface/tokenizers, the chat template
 * through chat-template.ts. A cache of pre-tokens stands in front of the library, with the same results: rollouts encode
 * tens of thousands of prompts a minute on one thread. Knows byte-level BPE only (Qwen, Llama 3, GPT-2); no policy, no rows.
 */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { TextDecoder } from "node:util";
import { Tokenizer as Library } from "@huggingface/tokenizers";
import { SiriError } from "../errors.js";
import { ChatTemplate, type Message } from "./chat-template.js";

export type { Message };

interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special?: boolean;
  readonly lstrip?: boolean;
  readonly rstrip?: boolean;
  readonly normalized?: boolean;
}

interface Component {
  readonly type: string;
  readonly [key: string]: unknown;
}

interface TokenizerJson {
  readonly added_tokens: readonly AddedToken[];
  readonly normalizer: Component | null;
  readonly pre_tokenizer: Component | null;
  readonly post_processor: Component | null;
  readonly decoder: Component | null;
  readonly model: Component & { readonly vocab: Readonly<Record<string, number>> };
}

/** Distinct pre-tokens kept; the cache starts anew beyond it. */
const CACHE_LIMIT = 100_000;
const ACTION_OPEN = "<action>".length;
const ACTION_CLOSE = "</action>".length;
const NO_BYTES = new Uint8Array(0);

export class Tokenizer {
  /** Folder it was loaded from. */
  readonly dir: string;
  /** One more than the largest token id of the tokenizer (the model's vocabulary may be padded beyond it). */
  readonly vocabSize: number;
  /** Ids that end a reply: generation_config.json, else config.json, else the tokenizer's own end token. */
  readonly eosTokens: readonly number[];
  /** The folder's chat template (Jinja), or null. */
  readonly chatTemplate: string | null;

  readonly #library: Library;
  readonly #template: ChatTemplate | null;
  readonly #templateValues: Readonly<Record<string, unknown>>;
  /** By id: the bytes of an ordinary token, the text of an added one. */
  readonly #pieces: readonly (Uint8Array | string)[];
  readonly #special: ReadonlySet<number>;
  readonly #fast: FastEncoder | null;

  /** Reads tokenizer.json, and where present tokenizer_config.json, chat_template.jinja, generation_config.json, config.json. */
  static async load(dir: string): Promise<Tokenizer> {
    const json = (await readJson(join(dir, "tokenizer.json"))) as TokenizerJson | null;
    if (json === null) {
      throw new SiriError(
        "TOKENIZER_MISSING",
        `No tokenizer.json in ${dir}. A policy folder needs it beside config.json and model.safetensors; copy it from the model's Hugging Face page.`,
      );
    }
    const config = ((await readJson(join(dir, "tokenizer_config.json"))) ?? {}) as Record<string, unknown>;
    const generation = ((await readJson(join(dir, "generation_config.json"))) ?? {}) as Record<string, unknown>;
    const model = ((await readJson(join(dir, "config.json"))) ?? {}) as Record<string, unknown>;
    const templateFile = join(dir, "chat_template.jinja");
    const template = existsSync(templateFile) ? await readFile(templateFile, "utf8") : defaultTemplate(config.chat_template);
    return new Tokenizer(dir, json, config, [generation.eos_token_id, model.eos_token_id], template);
  }

  private constructor(
    dir: string,
    json: TokenizerJson,
    config: Record<string, unknown>,
    eosCandidates: readonly unknown[],
    template: string | null,
  ) {
    this.dir = dir;
    const kinds = { model: json.model?.type, decoder: json.decoder?.type };
    if (kinds.model !== "BPE" || kinds.decoder !== "ByteLevel") {
      throw new SiriError(
        "TOKENIZER_UNSUPPORTED",
        `${dir}/tokenizer.json has model ${kinds.model} with decoder ${kinds.decoder}; only byte-level BPE (model BPE, decoder ByteLevel) is supported.`,
      );
    }
    this.#library = new Library(json, config);
    this.#pieces = tokenPieces(json);
    this.vocabSize = this.#pieces.length;
    this.#special = new Set(json.added_tokens.filter((token) => token.special).map((token) => token.id));
    this.#fast = FastEncoder.of(this.#library, json, config);
    this.#templateValues = specialTokenTexts(config);
    this.chatTemplate = template;
    this.#template = template === null ? null : new ChatTemplate(template, this.#templateValues);
    const eos = eosCandidates.map(idList).find((ids) => ids.length > 0);
    const eosText = this.#templateValues.eos_token;
    const own = typeof eosText === "string" ? this.tokenId(eosText) : undefined;
    this.eosTokens = eos ?? (own === undefined ? [] : [own]);
  }

  /** Id of a token by its text (an added token such as `<|end|>`, or a vocabulary entry in byte-level spelling). */
  tokenId(text: string): number | undefined {
    return this.#library.token_to_id(text);
  }

  /** Tokens of a text. With `special` the post-processor's own tokens (a begin token, say) are added; default no. */
  encode(text: string, options: { readonly special?: boolean } = {}): Int32Array {
    if (this.#fast && !options.special) return this.#fast.encode(text);
    return Int32Array.from(this.#library.encode(text, { add_special_tokens: options.special ?? false }).ids);
  }

  /** Text of tokens; bytes that are no UTF-8 become U+FFFD, ids beyond the vocabulary nothing. */
  decode(ids: Int32Array | readonly number[], options: { readonly skipSpecial?: boolean } = {}): string {
    let text = "";
    let bytes: Uint8Array[] = [];
    const flush = () => {
      if (bytes.length > 0) text += decoder().decode(Buffer.concat(bytes));
      bytes = [];
    };
    for (const id of ids) {
      const piece = this.#pieces[id] ?? NO_BYTES;
      if (typeof piece !== "string") bytes.push(piece);
      else if (!(options.skipSpecial && this.#special.has(id))) {
        flush();
        text += piece;
      }
    }
    flush();
    return text;
  }

  /** Tokens of a conversation through the folder's chat template, ready for a reply unless `addGenerationPrompt` is false. */
  chat(messages: readonly Message[], options: { readonly addGenerationPrompt?: boolean } = {}): Int32Array {
    return this.encode(this.chatText(messages, options));
  }

  /** The text that `chat` encodes. */
  chatText(messages: readonly Message[], options: { readonly addGenerationPrompt?: boolean } = {}): string {
    if (!this.#template) {
      throw new SiriError(
        "chat-template-missing",
        `${this.dir} has no chat template: neither chat_template.jinja nor chat_template in tokenizer_config.json. Use the instruct variant of the model or add one.`,
      );
    }
    return this.#template.render(messages, options.addGenerationPrompt ?? true);
  }

  /**
   * 1 for the response tokens that hold at least one character of `span`, 0 for the others. `span` counts characters of
   * `decode(ids, { skipSpecial: true })`, as `AgentTemplate.parse` gives it for that text; null gives zeros. `includeTags`
   * widens it by the `<action>` before and the `</action>` after it. A token with some bytes of a character holds it.
   */
  actionMask(ids: Int32Array, span: readonly [number, number] | null, options: { readonly includeTags?: boolean } = {}): Float32Array {
    const mask = new Float32Array(ids.length);
    if (!span) return mask;
    const from = options.includeTags ? span[0] - ACTION_OPEN : span[0];
    const to = options.includeTags ? span[1] + ACTION_CLOSE : span[1];
    let characters = 0; // of the runs and added tokens that are done
    let run: number[] = []; // bytes since the last added token that shows, and the token of each
    let owners: number[] = [];
    const flush = () => {
      const offsets = characterOfByte(run);
      offsets.forEach((offset, i) => {
        if (characters + offset >= from && characters + offset < to) mask[owners[i]!] = 1;
      });
      if (run.length > 0) characters += decoder().decode(Uint8Array.from(run)).length;
      run = [];
      owners = [];
    };
    ids.forEach((id, i) => {
      const piece = this.#pieces[id] ?? NO_BYTES;
      if (typeof piece !== "string") {
        for (const byte of piece) {
          run.push(byte);
          owners.push(i);
        }
      } else if (!this.#special.has(id)) {
        flush();
        if (Math.max(characters, from) < Math.min(characters + piece.length, to)) mask[i] = 1;
        characters += piece.length;
      }
    });
    flush();
    return mask;
  }
}

/** The library's pipeline with a cache of pre-tokens, for the shapes of tokenizer.json where that is provably the same. */
class FastEncoder {
  readonly #library: Library;
  readonly #added: RegExp | null;
  readonly #addedIds: ReadonlyMap<string, number>;
  readonly #words: RegExp;
  readonly #normalize: boolean;
  readonly #cache = new Map<string, readonly number[]>();

  /** null when the tokenizer needs something that the fast path does not know. */
  static of(library: Library, json: TokenizerJson, config: Record<string, unknown>): FastEncoder | null {
    const words = wordPattern(library, json.pre_tokenizer);
    const normalizer = json.normalizer?.type ?? null;
    const plain =
      (normalizer === null || normalizer === "NFC") &&
      !config.remove_space &&
      !config.do_lowercase_and_remove_accent &&
      json.added_tokens.every((token) => !token.lstrip && !token.rstrip && (token.normalized !== true || normalizer === null)) &&
      [null, "ByteLevel", "TemplateProcessing"].includes(json.post_processor?.type ?? null);
    return words && plain ? new FastEncoder(library, json.added_tokens, words, normalizer !== null) : null;
  }

  private constructor(library: Library, added: readonly AddedToken[], words: RegExp, normalize: boolean) {
    this.#library = library;
    this.#words = words;
    this.#normalize = normalize;
    this.#addedIds = new Map(added.map((token) => [token.content, token.id]));
    // The longest content first: the library takes the longest added token at a position.
    const contents = [...this.#addedIds.keys()].filter((text) => text !== "").sort((a, b) => b.length - a.length);
    this.#added = contents.length > 0 ? new RegExp(`(${contents.map(escapeRegExp).join("|")})`, "g") : null;
  }

  encode(text: string): Int32Array {
    const ids: number[] = [];
    for (const section of this.#added ? text.split(this.#added) : [text]) {
      if (section === "") continue;
      const added = this.#addedIds.get(section);
      if (added !== undefined) ids.push(added);
      else this.#section(this.#normalize ? section.normalize("NFC") : section, ids);
    }
    return Int32Array.from(ids);
  }

  #section(text: string, ids: number[]): void {
    let end = 0;
    for (const match of text.matchAll(this.#words)) {
      if (match.index > end) this.#word(text.slice(end, match.index), ids);
      if (match[0] !== "") this.#word(match[0], ids);
      end = match.index + match[0].length;
    }
    if (end < text.length) this.#word(text.slice(end), ids);
  }

  #word(word: string, ids: number[]): void {
    let tokens: readonly number[] | undefined = this.#cache.get(word);
    if (tokens === undefined) {
      if (this.#cache.size >= CACHE_LIMIT) this.#cache.clear();
      const bytes = Array.from(Buffer.from(word, "utf8"), (byte) => BYTE_TO_CHARACTER[byte]!).join("");
      const texts: readonly string[] = this.#library.model!.encode([bytes]);
      tokens = texts.flatMap((text) => this.#library.token_to_id(text) ?? []);
      this.#cache.set(word, tokens);
    }
    for (const token of tokens) ids.push(token);
  }
}

/** The pattern that cuts a section into pre-tokens, or null when the pre-tokenizer has another shape. */
function wordPattern(library: Library, preTokenizer: Component | null): RegExp | null {
  const patternOf = (part: unknown): RegExp | null => (part as { readonly pattern?: RegExp | null }).pattern ?? null;
  if (preTokenizer?.type === "ByteLevel" && !preTokenizer.add_prefix_space && preTokenizer.use_regex !== false) {
    return patternOf(library.pre_tokenizer);
  }
  if (preTokenizer?.type !== "Sequence") return null;
  const [split, bytes, ...rest] = preTokenizer.pretokenizers as readonly Component[];
  const known =
    rest.length === 0 &&
    split?.type === "Split" &&
    String(split.behavior).toLowerCase() === "isolated" &&
    !split.invert &&
    bytes?.type === "ByteLevel" &&
    bytes.use_regex === false &&
    !bytes.add_prefix_space;
  return known ? patternOf((library.pre_tokenizer as unknown as { readonly tokenizers: readonly unknown[] }).tokenizers[0]) : null;
}

/** The printable stand-in of each byte in a byte-level vocabulary (GPT-2's table: printable Latin-1 as itself, the rest from U+0100 on). */
export const BYTE_TO_CHARACTER: readonly string[] = (() => {
  let next = 0x100;
  const printable = (byte: number) => (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(printable(byte) ? byte : next++));
})();

const CHARACTER_TO_BYTE: ReadonlyMap<string, number> = new Map(BYTE_TO_CHARACTER.map((character, byte) => [character, byte]));

function tokenPieces(json: TokenizerJson): readonly (Uint8Array | string)[] {
  const pieces: (Uint8Array | string)[] = [];
  for (const [token, id] of Object.entries(json.model.vocab)) {
    pieces[id] = Uint8Array.from([...token].flatMap((character) => CHARACTER_TO_BYTE.get(character) ?? []));
  }
  for (const token of json.added_tokens) pieces[token.id] = token.content;
  return Array.from(pieces, (piece) => piece ?? NO_BYTES);
}

function decoder(): TextDecoder {
  return new TextDecoder("utf-8", { ignoreBOM: true });
}

/**
 * Per byte the offset, in UTF-16 units, of the character it belongs to in the decoded text (WHATWG UTF-8: a broken sequence
 * is cut after its longest valid beginning and counts as one U+FFFD).
 */
function characterOfByte(bytes: readonly number[]): readonly number[] {
  const offsets: number[] = [];
  let offset = 0;
  while (offsets.length < bytes.length) {
    const start = offsets.length;
    const lead = bytes[start]!;
    const more = lead >= 0xc2 && lead <= 0xdf ? 1 : lead >= 0xe0 && lead <= 0xef ? 2 : lead >= 0xf0 && lead <= 0xf4 ? 3 : 0;
    let low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
    let high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
    let length = 1;
    while (length <= more && bytes[start + length]! >= low && bytes[start + length]! <= high) {
      length += 1;
      [low, high] = [0x80, 0xbf];
    }
    for (let i = 0; i < length; i++) offsets.push(offset);
    offset += length === 4 ? 2 : 1;
  }
  return offsets;
}

function idList(value: unknown): readonly number[] {
  return (Array.isArray(value) ? value : [value]).filter((id): id is number => Number.isInteger(id));
}

/** bos_token, eos_token and so on, which tokenizer_config.json gives as texts or as {content}. */
function specialTokenTexts(config: Record<string, unknown>): Readonly<Record<string, unknown>> {
  const entries = ["bos_token", "eos_token", "pad_token", "unk_token"].map((key) => {
    const value = config[key];
    return [key, typeof value === "object" && value !== null && "content" in value ? value.content : (value ?? undefined)];
  });
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
}

/** tokenizer_config.json may hold one template or a list of named ones. */
function defaultTemplate(value: unknown): string | null {
  if (typeof value === "string") return value;
  if (!Array.isArray(value)) return null;
  const named = value as readonly { readonly name?: string; readonly template?: string }[];
  return named.find((item) => item.name === "default")?.template ?? null;
}

async function readJson(file: string): Promise<unknown> {
  if (!existsSync(file)) return null;
  try {
    return JSON.parse(await readFile(file, "utf8")) as unknown;
  } catch (cause) {
    throw new SiriError("TOKENIZER_INVALID", `${file} is not valid JSON. Fetch or copy the file again.`, { cause });
  }
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
