import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Tokenizer as Library } from "@huggingface/tokenizers";
import { afterAll, describe, expect, it } from "vitest";
import { BYTE_TO_CHARACTER, Tokenizer } from "./tokenizer.js";

const dirs: string[] = [];
afterAll(() => {
  for (const dir of dirs) rmSync(dir, { recursive: true });
});

function folder(files: Readonly<Record<string, unknown>>): string {
  const dir = mkdtempSync(join(tmpdir(), "siri-tokenizer-"));
  dirs.push(dir);
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(join(dir, name), typeof content === "string" ? content : JSON.stringify(content));
  }
  return dir;
}

const MERGES: readonly [string, string][] = [
  ["l", "o"],
  ["o", "k"],
  ["lo", "ok"],
  ["\u0120", "go"],
  ["g", "o"],
  ["\u0120", "go"],
  [">", "look"],
  ["\u0120", "1"],
];

function tokenizerJson(overrides: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  const added = ["<|im_start|>", "<|im_end|>", "<|im", "<think>"];
  const tokens = [...new Set([...BYTE_TO_CHARACTER, ...MERGES.map(([a, b]) => a + b)])];
  return {
    added_tokens: added.map((content, i) => ({
      id: tokens.length + i,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: content !== "<think>",
    })),
    normalizer: null,
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, use_regex: true },
    post_processor: { type: "ByteLevel" },
    decoder: { type: "ByteLevel" },
    model: { type: "BPE", merges: MERGES, vocab: Object.fromEntries(tokens.map((token, i) => [token, i])) },
    ...overrides,
  };
}

/** The shape of Qwen's file: NFC, a split by pattern, then bytes. */
const QWEN = {
  normalizer: { type: "NFC" },
  pre_tokenizer: {
    type: "Sequence",
    pretokenizers: [
      {
        type: "Split",
        behavior: "Isolated",
        invert: false,
        pattern: { Regex: "(?i:'s|'t)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+" },
      },
      { type: "ByteLevel", add_prefix_space: false, trim_offsets: false, use_regex: false },
    ],
  },
};

const TEMPLATE =
  "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

/** Texts of random pieces, many of them awkward. */
function* randomTexts(count: number): Generator<string> {
  const pieces = [
    "look",
    " go",
    " 1",
    " 12",
    "<|im_start|>",
    "<|im",
    "<think>",
    "<|im_end",
    "\n",
    "  ",
    "\r\n",
    "\u00e9",
    "e\u0301",
    "\u4e2d",
    "\u{1f600}",
    "'s",
    "'T",
    ".",
    "\t",
    "_",
    "\u00a0",
    "\ufeff",
    "$5^",
  ];
  let state = 12345;
  for (let i = 0; i < count; i++) {
    let text = "";
    for (let j = 0; j < i % 40; j++) {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      text += pieces[(state >>> 8) % pieces.length];
    }
    yield text;
  }
}

describe("encode and decode", () => {
  it.each([
    ["GPT-2 shape", {}],
    ["Qwen shape", QWEN],
    ["no post-processor", { post_processor: null }],
    ["a shape without fast path", { pre_tokenizer: { type: "ByteLevel", add_prefix_space: true, use_regex: true } }],
  ])("gives exactly the library's tokens: %s", async (_, overrides) => {
    const json = tokenizerJson(overrides);
    const tokenizer = await Tokenizer.load(folder({ "tokenizer.json": json }));
    const library = new Library(json, {});
    for (const text of randomTexts(400)) {
      const ids = library.encode(text, { add_special_tokens: false }).ids;
      expect([...tokenizer.encode(text)]).toEqual(ids);
      expect([...tokenizer.encode(text)]).toEqual(ids); // from the cache
      if (ids.length > 0) {
        for (const skipSpecial of [false, true]) {
          const expected = library.decode(ids, { skip_special_tokens: skipSpecial, clean_up_tokenization_spaces: false });
          expect(tokenizer.decode(ids, { skipSpecial })).toBe(expected);
        }
      }
    }
  });

  it("adds the post-processor's tokens only when asked", async () => {
    const json = tokenizerJson({
      post_processor: {
        type: "TemplateProcessing",
        single: [{ SpecialToken: { id: "<|im_start|>", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
        pair: [],
        special_tokens: {},
      },
    });
    const tokenizer = await Tokenizer.load(folder({ "tokenizer.json": json }));
    expect(tokenizer.encode("look")).toHaveLength(1);
    expect(tokenizer.decode(tokenizer.encode("look", { special: true }))).toBe("<|im_start|>look");
  });

  it("decodes padded ids and broken bytes without failing", async () => {
    const tokenizer = await Tokenizer.load(folder({ "tokenizer.json": tokenizerJson() }));
    const half = [...tokenizer.encode("\u4e2d")].slice(0, 2);
    expect(tokenizer.decode([tokenizer.vocabSize + 5, ...half])).toBe("\ufffd");
    expect(tokenizer.decode([])).toBe("");
  });
});

describe("chat", () => {
  it("renders the folder's template, with and without the reply's head", async () => {
    const dir = folder({
      "tokenizer.json": tokenizerJson(),
      "tokenizer_config.json": { chat_template: TEMPLATE, eos_token: "<|im_end|>" },
    });
    const tokenizer = await Tokenizer.load(dir);
    const messages = [{ role: "user", content: "look" }];
    expect(tokenizer.chatText(messages)).toBe("<|im_start|>user\nlook<|im_end|>\n<|im_start|>assistant\n");
    expect(tokenizer.decode(tokenizer.chat(messages, { addGenerationPrompt: false }))).toBe("<|im_start|>user\nlook<|im_end|>\n");
    expect(tokenizer.eosTokens).toEqual([tokenizer.tokenId("<|im_end|>")]);
  });

  it("prefers chat_template.jinja, and takes the default of named templates", async () => {
    const named = {
      chat_template: [
        { name: "tool_use", template: "no" },
        { name: "default", template: "yes" },
      ],
    };
    const both = folder({
      "tokenizer.json": tokenizerJson(),
      "tokenizer_config.json": named,
      "chat_template.jinja": "{{ eos_token }}file",
    });
    expect((await Tokenizer.load(both)).chatText([])).toBe("file");
    const one = folder({ "tokenizer.json": tokenizerJson(), "tokenizer_config.json": named });
    expect((await Tokenizer.load(one)).chatText([])).toBe("yes");
  });

  it("takes stop ids from generation_config.json, then config.json", async () => {
    const files = { "tokenizer.json": tokenizerJson(), "config.json": { eos_token_id: 7 } };
    expect((await Tokenizer.load(folder(files))).eosTokens).toEqual([7]);
    const more = { ...files, "generation_config.json": { eos_token_id: [3, 4] } };
    expect((await Tokenizer.load(folder(more))).eosTokens).toEqual([3, 4]);
  });
});

describe("actionMask", () => {
  async function setup() {
    const tokenizer = await Tokenizer.load(folder({ "tokenizer.json": tokenizerJson() }));
    const mask = (text: string, action: string, options?: { includeTags?: boolean }) => {
      const ids = tokenizer.encode(text);
      const shown = tokenizer.decode(ids, { skipSpecial: true });
      const start = shown.indexOf(action);
      const values = tokenizer.actionMask(ids, [start, start + action.length], options);
      return [...ids].filter((_, i) => values[i] === 1).map((id) => tokenizer.decode([id]));
    };
    return { tokenizer, mask };
  }

  it("takes the action's tokens, also one that straddles the tag", async () => {
    const { mask } = await setup();
    // ">look" is one token here only inside a pre-token that holds both; " go 1" is two.
    expect(mask("<think>x</think><action> go 1</action>", " go 1")).toEqual([" go", " 1"]);
    expect(mask("a< 1", "1")).toEqual([" 1"]);
  });

  it("does not count special tokens as characters", async () => {
    const { mask } = await setup();
    expect(mask("<|im_start|>x<think> go<|im_end|> 1", " go")).toEqual([" go"]);
    expect(mask("<|im_start|>x<think> go 1<|im_end|>", " 1")).toEqual([" 1"]);
  });

  it("takes every byte piece of a multi-byte character, and no neighbour", async () => {
    const { tokenizer } = await setup();
    const text = "a\u{1f600}\u4e2db";
    const ids = tokenizer.encode(text); // one token a byte
    expect([...tokenizer.actionMask(ids, [1, 3])]).toEqual([0, 1, 1, 1, 1, 0, 0, 0, 0]);
    expect([...tokenizer.actionMask(ids, [3, 4])]).toEqual([0, 0, 0, 0, 0, 1, 1, 1, 0]);
    expect([...tokenizer.actionMask(ids, [4, 5])]).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 1]);
  });

  it("follows the replacement characters of broken bytes", async () => {
    const { tokenizer } = await setup();
    const ids = Int32Array.from([...tokenizer.encode("\u4e2d").slice(0, 2), ...tokenizer.encode("ab")]);
    expect(tokenizer.decode(ids)).toBe("\ufffdab");
    expect([...tokenizer.actionMask(ids, [1, 2])]).toEqual([0, 0, 1, 0]);
    expect([...tokenizer.actionMask(ids, [0, 1])]).toEqual([1, 1, 0, 0]);
  });

  it("counts any bytes as the decoder does", async () => {
    const { tokenizer } = await setup();
    const byId = new Map(BYTE_TO_CHARACTER.map((character, byte) => [byte, tokenizer.tokenId(character)!]));
    const leads = [0x41, 0x80, 0xc1, 0xc3, 0xe0, 0xed, 0xef, 0xf0, 0xf4, 0xf5, 0xa0, 0x90, 0xbf];
    let state = 7;
    for (let i = 0; i < 500; i++) {
      const ids = Int32Array.from({ length: 8 }, () => {
        state = (Math.imul(state, 1103515245) + 12345) >>> 0;
        return byId.get(leads[(state >>> 8) % leads.length]!)!;
      });
      const text = tokenizer.decode(ids);
      // Every character belongs to some token, and the tokens of its neighbours come in order.
      let last = -1;
      for (let c = 0; c < text.length; c += text.charCodeAt(c) >= 0xd800 && text.charCodeAt(c) < 0xdc00 ? 2 : 1) {
        const mask = tokenizer.actionMask(ids, [c, c + 1]);
        const tokens = [...mask.keys()].filter((t) => mask[t] === 1);
        expect(tokens[0]).toBe(last + 1);
        last = tokens[tokens.length - 1]!;
      }
      expect(last).toBe(7);
    }
  });

  it("can include the tags; null is nothing", async () => {
    const { tokenizer, mask } = await setup();
    expect(mask("x<action> go</action>y", " go", { includeTags: true }).join("")).toBe("<action> go</action>");
    expect([...tokenizer.actionMask(tokenizer.encode("look"), null, { includeTags: true })]).toEqual([0]);
  });
});

describe("errors", () => {
  it("names the folder and the fix", async () => {
    await expect(Tokenizer.load(folder({}))).rejects.toMatchObject({ code: "TOKENIZER_MISSING" });
    await expect(Tokenizer.load(folder({ "tokenizer.json": "{" }))).rejects.toMatchObject({ code: "TOKENIZER_INVALID" });
    const wordPiece = folder({ "tokenizer.json": tokenizerJson({ decoder: { type: "WordPiece" } }) });
    await expect(Tokenizer.load(wordPiece)).rejects.toMatchObject({ code: "TOKENIZER_UNSUPPORTED" });
    const plain = await Tokenizer.load(folder({ "tokenizer.json": tokenizerJson() }));
    expect(() => plain.chat([])).toThrow(/chat template/);
  });
});
