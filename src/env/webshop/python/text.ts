/**
 * Text as Python 3 sees it, where JavaScript differs: white space, order of strings, the printed form of floats and strings, rounding.
 * Strings here are sequences of code points, never of UTF-16 units. Knows nothing of shops.
 */

/** The characters for which `str.isspace()` holds: more than JavaScript's `\s` (U+001C-1F, U+0085), and less (not U+FEFF). */
const SPACE = "[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]";
const LEADING_SPACE = new RegExp(`^${SPACE}+`, "u");
const ONLY_SPACE = new RegExp(`^${SPACE}+$`, "u");
const ONE_SPACE = new RegExp(SPACE, "u");

/** `text.isspace()`: false for the empty string. */
export function isSpace(text: string): boolean {
  return ONLY_SPACE.test(text);
}

/** `text.strip()`, or `text.strip(characters)` with the set of characters to remove at both ends. */
export function strip(text: string, characters?: string): string {
  if (characters === undefined) {
    const start = LEADING_SPACE.exec(text)?.[0].length ?? 0;
    let end = text.length;
    while (end > start && ONE_SPACE.test(text[end - 1] as string)) end--;
    return text.slice(start, end);
  }
  const points = [...text];
  let start = 0;
  let end = points.length;
  while (start < end && characters.includes(points[start] as string)) start++;
  while (end > start && characters.includes(points[end - 1] as string)) end--;
  return points.slice(start, end).join("");
}

/** Number of code points, `len(text)`. */
export function codePointLength(text: string): number {
  let length = 0;
  for (const _ of text) length++;
  return length;
}

/** Order of `sorted()`: by code point. UTF-16 order differs once surrogates meet U+E000-FFFF. */
export function compareCodePoints(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    let x = a.charCodeAt(i);
    let y = b.charCodeAt(i);
    if (x === y) continue;
    // A surrogate stands for a code point above every other unit.
    if (x >= 0xd800 && x <= 0xdfff) x += 0x10000;
    if (y >= 0xd800 && y <= 0xdfff) y += 0x10000;
    return x - y;
  }
  return a.length - b.length;
}

/** `repr(float)`: the shortest digits that give the number back, with ".0" on whole numbers and exponents from 1e16 and below 1e-4. */
export function floatRepr(value: number): string {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  if (value === 0) return Object.is(value, -0) ? "-0.0" : "0.0";
  const [digits, exponentText] = value.toExponential().split("e") as [string, string];
  const exponent = Number(exponentText);
  if (exponent < -4 || exponent >= 16) {
    const sign = exponent < 0 ? "-" : "+";
    return `${digits}e${sign}${String(Math.abs(exponent)).padStart(2, "0")}`;
  }
  if (exponent < 0) {
    const [sign, mantissa] = digits.startsWith("-") ? ["-", digits.slice(1)] : ["", digits];
    return `${sign}0.${"0".repeat(-exponent - 1)}${mantissa.replace(".", "")}`;
  }
  const plain = String(value);
  return plain.includes(".") ? plain : `${plain}.0`;
}

/** `round(value)`: halves go to the even neighbour. */
export function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest < 0.5) return floor;
  if (rest > 0.5) return floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}

/** What `repr` escapes: everything that is not printable, the backslash, and (chosen per string) one kind of quote. */
const UNPRINTABLE = /[\p{C}\p{Z}]/u;

function reprCharacter(character: string, quote: string): string {
  if (character === quote || character === "\\") return `\\${character}`;
  if (character === "\n") return "\\n";
  if (character === "\r") return "\\r";
  if (character === "\t") return "\\t";
  if (character === " " || !UNPRINTABLE.test(character)) return character;
  const code = character.codePointAt(0) as number;
  if (code < 0x100) return `\\x${code.toString(16).padStart(2, "0")}`;
  if (code < 0x10000) return `\\u${code.toString(16).padStart(4, "0")}`;
  return `\\U${code.toString(16).padStart(8, "0")}`;
}

/** `repr(str)`. */
export function stringRepr(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  if (/^[\x20-\x7e]*$/.test(text) && !text.includes(quote) && !text.includes("\\")) return quote + text + quote;
  let out = quote;
  for (const character of text) out += reprCharacter(character, quote);
  return out + quote;
}

/** `repr` of a `dict` from strings to strings, in its own order: `{'size': 'large', 'color': 'red'}`. */
export function dictRepr(dict: ReadonlyMap<string, string>): string {
  return `{${[...dict].map(([key, value]) => `${stringRepr(key)}: ${stringRepr(value)}`).join(", ")}}`;
}

function jsonString(text: string | null): string {
  // JSON.stringify escapes what JSON must have escaped; Python's default escapes everything else outside " " to "~" too, unit by unit.
  return JSON.stringify(text).replace(/[\x7f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** `json.dumps` of a `dict` from strings to strings or None: ASCII only, ", " and ": " between the parts, in the order of the dict. */
export function jsonDumps(dict: ReadonlyMap<string, string | null>): string {
  return `{${[...dict].map(([key, value]) => `${jsonString(key)}: ${jsonString(value)}`).join(", ")}}`;
}

/** Flask's `tojson` of such a dict: keys sorted, and `<`, `>`, `&` and `'` escaped so that the text may stand inside HTML. */
export function jsonForHtml(dict: ReadonlyMap<string, string | null>): string {
  const sorted = new Map([...dict].sort(([a], [b]) => compareCodePoints(a, b)));
  return jsonDumps(sorted).replace(/[<>&']/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
