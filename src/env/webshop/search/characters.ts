/**
 * What the tokenizer must know of a character: the classes of UAX #29 (Word_Break), UAX #14 (Complex_Context) and UTS #51 that Lucene's
 * StandardTokenizer tells apart. A character may have several at once. Lucene 8 and 9 read Unicode 9 and Emoji 11, so where later
 * versions moved a character (U+2605 is no pictograph any more) the older place is written out here. Letters come from the JavaScript
 * engine: they differ only where Unicode has assigned new ones since.
 */

/** ALetter or Hebrew_Letter. */
export const LETTER = 1;
/** Hebrew_Letter. */
export const HEBREW = 2;
export const NUMERIC = 4;
export const KATAKANA = 8;
/** MidLetter, MidNumLet or Single_Quote: may stand between letters. */
export const MID_LETTER = 16;
/** MidNum, MidNumLet or Single_Quote: may stand between digits. */
export const MID_NUMBER = 32;
/** ExtendNumLet: underscores. */
export const CONNECTOR = 64;
export const SINGLE_QUOTE = 128;
export const DOUBLE_QUOTE = 256;
/** Script Han. */
export const HAN = 512;
export const HIRAGANA = 1024;
/** Line_Break Complex_Context: Thai, Lao, Khmer, Burmese and their neighbours. */
export const COMPLEX = 2048;
/** Extend, Format or ZWJ: belongs to the character before it. */
export const EXTEND = 4096;
export const JOINER = 8192;
/** Variation selector 16, which asks for a picture. */
export const PICTURE_SELECTOR = 1 << 14;
/** Variation selector 15, which asks for text. */
export const TEXT_SELECTOR = 1 << 15;
export const PICTOGRAPH = 1 << 16;
/** Pictograph that may be followed by a skin tone. */
export const TONE_BASE = 1 << 17;
export const TONE = 1 << 18;
export const REGIONAL = 1 << 19;
/** 0-9 # *, which a keycap may enclose. */
export const KEY = 1 << 20;
export const KEYCAP = 1 << 21;
export const TAG = 1 << 22;
export const TAG_END = 1 << 23;
const KNOWN = 1 << 30;

type Ranges = readonly number[];

/** "a9 203c-2049" to [0xa9, 0xa9, 0x203c, 0x2049], ascending. */
function ranges(text: string): Ranges {
  return text.split(/\s+/).flatMap((part) => {
    const [first, last = first] = part.split("-") as [string, string?];
    return [Number.parseInt(first, 16), Number.parseInt(last, 16)];
  });
}

function within(sorted: Ranges, code: number): boolean {
  let low = 0;
  let high = sorted.length / 2;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (code > sorted[2 * middle + 1]!) low = middle + 1;
    else if (code < sorted[2 * middle]!) high = middle;
    else return true;
  }
  return false;
}

/** Extended_Pictographic of emoji-data.txt 11.0. */
const PICTOGRAPHS = ranges(
  `a9 ae 203c 2049 2122 2139 2194-2199 21a9-21aa 231a-231b 2328 2388 23cf 23e9-23f3 23f8-23fa 24c2 25aa-25ab 25b6 25c0 25fb-25fe
  2600-2605 2607-2612 2614-2685 2690-2705 2708-2712 2714 2716 271d 2721 2728 2733-2734 2744 2747 274c 274e 2753-2755 2757 2763-2767
  2795-2797 27a1 27b0 27bf 2934-2935 2b05-2b07 2b1b-2b1c 2b50 2b55 3030 303d 3297 3299 1f000-1f0ff 1f10d-1f10f 1f12f 1f16c-1f171
  1f17e-1f17f 1f18e 1f191-1f19a 1f1ad-1f1e5 1f201-1f20f 1f21a 1f22f 1f232-1f23a 1f23c-1f23f 1f249-1f3fa 1f400-1f53d 1f546-1f64f
  1f680-1f6ff 1f774-1f77f 1f7d5-1f7ff 1f80c-1f80f 1f848-1f84f 1f85a-1f85f 1f888-1f88f 1f8ae-1f8ff 1f90c-1f93a 1f93c-1f945
  1f947-1fffd`,
);
/** Emoji_Modifier_Base of emoji-data.txt 11.0. */
const TONE_BASES = ranges(
  `261d 26f9 270a-270d 1f385 1f3c2-1f3c4 1f3c7 1f3ca-1f3cc 1f442-1f443 1f446-1f450 1f466-1f469 1f46e 1f470-1f478 1f47c 1f481-1f483
  1f485-1f487 1f4aa 1f574-1f575 1f57a 1f590 1f595-1f596 1f645-1f647 1f64b-1f64f 1f6a3 1f6b4-1f6b6 1f6c0 1f6cc 1f918-1f91c
  1f91e-1f91f 1f926 1f930-1f939 1f93d-1f93e 1f9b5-1f9b6 1f9b8-1f9b9 1f9d1-1f9dd`,
);
/** Line_Break SA of LineBreak-9.0.0.txt. */
const COMPLEX_CONTEXT = ranges(
  `e01-e3a e40-e4e e81-ebd ec0-ecd edc-edf 1000-103f 1050-108f 109a-109f 1780-17d3 17d7 17dc-17dd 1950-1974 1980-19c9 19da 19de-19df
  1a20-1a7c 1aa0-1aad a9e0-a9ef a9fa-a9fe aa60-aac2 aadb-aadf 11700-1172b 1173a-1173b 1173f`,
);
const MID_NUM = ranges("2c 3b 37e 589 60c-60d 66c 7f8 2044 fe10 fe14 fe50 fe54 ff0c ff1b");
const MID_LET = ranges("3a b7 2d7 387 5f4 2027 fe13 fe55 ff1a");
const MID_NUM_LET = ranges("2e 2018-2019 2024 fe52 ff07 ff0e");
/** Katakana beside the letters of that script. */
const KATAKANA_SIGNS = ranges("3031-3035 309b-309c 30a0 30fc ff70");

const EXTENDING = /[\p{Grapheme_Extend}\p{Mc}\p{Cf}]/u;
const DIGIT = /\p{Nd}/u;
const ALPHABETIC = /\p{Alphabetic}/u;
const IDEOGRAPHIC = /\p{Ideographic}/u;
const SCRIPT_KATAKANA = /\p{Script=Katakana}/u;
const SCRIPT_HIRAGANA = /\p{Script=Hiragana}/u;
const SCRIPT_HAN = /\p{Script=Han}/u;
const HEBREW_LETTERS = /(?=\p{Script=Hebrew})\p{Lo}/u;
const PUNCTUATION_CONNECTOR = /\p{Pc}/u;
const ASSIGNED = /\p{Assigned}/u;

function classify(code: number): number {
  const character = String.fromCodePoint(code);
  let is = 0;
  // A zero-width space separates, though it is a format character.
  if (EXTENDING.test(character) && code !== 0x200b) is |= EXTEND;
  if (code === 0x200d) is |= JOINER | EXTEND;
  if (code === 0xfe0e) is |= TEXT_SELECTOR;
  if (code === 0xfe0f) is |= PICTURE_SELECTOR;
  if (code === 0x20e3) is |= KEYCAP;
  if (code >= 0xe0020 && code <= 0xe007e) is |= TAG;
  if (code === 0xe007f) is |= TAG_END;
  if (within(PICTOGRAPHS, code)) is |= PICTOGRAPH;
  if (within(TONE_BASES, code)) is |= TONE_BASE;
  if (code >= 0x1f3fb && code <= 0x1f3ff) is |= TONE;
  if (code >= 0x1f1e6 && code <= 0x1f1ff) is |= REGIONAL;
  if ((code >= 0x30 && code <= 0x39) || code === 0x23 || code === 0x2a) is |= KEY;
  if (DIGIT.test(character) || code === 0x66b) is |= NUMERIC;
  if (SCRIPT_KATAKANA.test(character) || within(KATAKANA_SIGNS, code)) is |= KATAKANA;
  if (SCRIPT_HIRAGANA.test(character)) is |= HIRAGANA;
  if (SCRIPT_HAN.test(character)) is |= HAN;
  if (within(COMPLEX_CONTEXT, code) && ASSIGNED.test(character)) is |= COMPLEX;
  if (HEBREW_LETTERS.test(character)) is |= HEBREW | LETTER;
  else if (
    code === 0x5f3 ||
    (ALPHABETIC.test(character) && !IDEOGRAPHIC.test(character) && !(is & (KATAKANA | HIRAGANA | COMPLEX | EXTEND)))
  )
    is |= LETTER;
  if (within(MID_LET, code)) is |= MID_LETTER;
  if (within(MID_NUM, code)) is |= MID_NUMBER;
  if (within(MID_NUM_LET, code)) is |= MID_LETTER | MID_NUMBER;
  if (code === 0x27) is |= SINGLE_QUOTE | MID_LETTER | MID_NUMBER;
  if (code === 0x22) is |= DOUBLE_QUOTE;
  if (PUNCTUATION_CONNECTOR.test(character) || code === 0x202f) is |= CONNECTOR;
  return is | KNOWN;
}

const basic = new Int32Array(0x10000);
const further = new Map<number, number>();

/** Classes of a code point: a sum of the constants above. Each is looked up once and kept. */
export function classesOf(code: number): number {
  const known = code < 0x10000 ? basic[code]! : (further.get(code) ?? 0);
  if (known !== 0) return known;
  const classes = classify(code);
  if (code < 0x10000) basic[code] = classes;
  else further.set(code, classes);
  return classes;
}
