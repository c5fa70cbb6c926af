/** Words as Lucene's StandardTokenizer cuts them: rule by rule, and against recordings of Lucene 8.7 on random texts of many scripts. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { analyze } from "./analyzer.js";
import { tokenize } from "./tokenizer.js";

function words(text: string): string[] {
  const found: string[] = [];
  tokenize(text, (word) => found.push(word));
  return found;
}

describe("words", () => {
  it.each<readonly [what: string, text: string, expected: readonly string[]]>([
    ["nothing", " \t\n.,;-", []],
    [
      "a mark between two letters",
      "can't e.g. mother-in-law a:b 3's o'clock'",
      ["can't", "e.g", "mother", "in", "law", "a:b", "3", "s", "o'clock"],
    ],
    ["a mark between two digits", "1,000.50 1,a a,1 1:2 1;2 1'2 1.a", ["1,000.50", "1", "a", "a", "1", "1", "2", "1;2", "1'2", "1", "a"]],
    ["two marks between", "a..b 1..2 a.:b", ["a", "b", "1", "2", "a", "b"]],
    ["letters and digits", "2x4 mp3 3d-print", ["2x4", "mp3", "3d", "print"]],
    ["underscores join, and are no word alone", "_ __ _a a_ a_1 a__b _._", ["_a", "a_", "a_1", "a__b"]],
    ["combining marks stay with their letter", "cafe\u0301s n\u0303, \u0301a", ["cafe\u0301s", "n\u0303", "a"]],
    ["a soft hyphen, joiners and a byte-order mark stay inside", "so\u00adft a\u200db c\ufeffd", ["so\u00adft", "a\u200db", "c\ufeffd"]],
    ["a zero-width space separates", "a\u200bb", ["a", "b"]],
    ["marks are skipped over for the rules", "a\u0301.\u0301b 1\u0301,\u03012", ["a\u0301.\u0301b", "1\u0301,\u03012"]],
    ["Han and Hiragana by character", "日本語ひら", ["日", "本", "語", "ひ", "ら"]],
    ["Katakana by run, not joined to letters", "カタカナーabcカ_a", ["カタカナー", "abc", "カ_a"]],
    ["Hangul as letters", "한국어 abc한", ["한국어", "abc한"]],
    ["Thai, Lao, Khmer and Burmese by run", "ภาษาไทย ພາສາ ភាសា မြန်မာ ไทยabc", ["ภาษาไทย", "ພາສາ", "ភាសា", "မြန်မာ", "ไทย", "abc"]],
    ["Thai digits are digits", "ราคา๑๒บาท", ["ราคา", "๑๒", "บาท"]],
    ["from right to left", "שלום עולם العربية ٣٫٥ ١٬٠٠٠", ["שלום", "עולם", "العربية", "٣٫٥", "١٬٠٠٠"]],
    ["quotes of Hebrew", 'צה"ל ג\' "א" a"b א"1', ['צה"ל', "ג'", "א", "a", "b", "א", "1"]],
    ["a Hebrew letter after a mark takes no quote", "א:ב' א'ב'", ["א:ב", "א'ב'"]],
    ["full-width letters and digits", "ＦＵＬＬ１２，３", ["ＦＵＬＬ１２，３"]],
    ["pictographs", "a★b ™®© ✿ ❤️☛", ["a", "★", "b", "™", "®", "©", "❤️", "☛"]],
    ["skin tones, families, keycaps, flags, subdivisions", "👍🏽👨‍👩‍👧1️⃣#️⃣🇫🇷🇫 🏴󠁧󠁢󠁥󠁮󠁧󠁿", ["👍🏽", "👨‍👩‍👧", "1️⃣", "#️⃣", "🇫🇷", "🏴󠁧󠁢󠁥󠁮󠁧󠁿"]],
    ["a tone alone, a joiner without a partner", "🏽 👩\u200d a \u200d👩", ["🏽", "👩\u200d", "a", "\u200d👩"]],
    ["a circled letter is both", "ⓜ ⓜx", ["ⓜ", "ⓜx"]],
    ["characters beyond the basic plane", "𝐀𝟘 𐐀 𠀀𠀀", ["𝐀𝟘", "𐐀", "𠀀", "𠀀"]],
  ])("%s", (_, text, expected) => {
    expect(words(text)).toEqual(expected);
  });

  it("cuts long words after 255 units, and counts a surrogate pair as two", () => {
    const long = "a".repeat(600);
    expect(words(long).map((word) => word.length)).toEqual([255, 255, 90]);
    expect(words("a".repeat(255))).toHaveLength(1);
    // The window ends inside a pair: the pair goes to the next word.
    expect(words(`a${"𐐀".repeat(127)}b`).map((word) => word.length)).toEqual([255, 1]);
    expect(words(`aa${"𐐀".repeat(127)}`).map((word) => word.length)).toEqual([254, 2]);
    // The mark is the 255th unit, and nothing follows it in the window.
    expect(words(`${"1".repeat(254)},5`).map((word) => word.length)).toEqual([254, 1]);
    expect(words(`${"1".repeat(253)},5`).map((word) => word.length)).toEqual([255]);
  });

  it("loses nothing but separators, whatever the text", () => {
    let state = 1;
    const random = (below: number) => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    for (let i = 0; i < 3000; i++) {
      const text = Array.from({ length: 1 + random(12) }, () =>
        String.fromCodePoint([0x20 + random(0x60), random(0x3400), 0x1f000 + random(0xb00)][random(3)]!),
      ).join("");
      // Words are pieces of the text in order, and no letter or digit of ASCII lies between them.
      let rest = text;
      for (const word of words(text)) {
        const next = word === "" ? -1 : rest.indexOf(word);
        if (next < 0 || /[a-z0-9]/i.test(rest.slice(0, next))) expect.fail(`${JSON.stringify(text)}: ${JSON.stringify(words(text))}`);
        rest = rest.slice(next + word.length);
      }
      if (/[a-z0-9]/i.test(rest)) expect.fail(`${JSON.stringify(text)} loses ${JSON.stringify(rest)}`);
    }
  });
});

describe("recordings of Lucene 8.7", () => {
  const file = join(import.meta.dirname, "../../../../test/goldens/webshop/lucene-8.7-words.jsonl");
  const rows = readFileSync(file, "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as { readonly text: string; readonly words: readonly string[]; readonly terms: readonly string[] });

  it(`${rows.length} random texts of 25 scripts and symbols`, () => {
    for (const { text, words: expected, terms } of rows) {
      expect(words(text), JSON.stringify(text)).toEqual(expected);
      expect(analyze(text), JSON.stringify(text)).toEqual(terms);
    }
  });
});
