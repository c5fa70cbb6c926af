/**
 * Python's `str.strip()`. JavaScript's `trim` differs: it keeps U+001C..U+001F and U+0085 and removes U+FEFF.
 */
const BLANK = "[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]";
const LEADING = new RegExp(`^${BLANK}+`);
const BLANK_CHARACTER = new RegExp(BLANK);

export function pythonStrip(text: string): string {
  let end = text.length;
  while (end > 0 && BLANK_CHARACTER.test(text.charAt(end - 1))) end--;
  return text.slice(0, end).replace(LEADING, "");
}
