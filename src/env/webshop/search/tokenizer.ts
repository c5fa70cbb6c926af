/**
 * Words of a text as Lucene's StandardTokenizer cuts them: the word boundaries of UAX #29 with its departures. Pictographs are words;
 * Han and Hiragana go by single characters, Katakana by runs, Thai and its neighbours by runs of the script; the longest rule wins; a
 * word never passes 255 UTF-16 units, what is left of a longer one goes on as the next word.
 */
import {
  CONNECTOR,
  classesOf,
  COMPLEX,
  DOUBLE_QUOTE,
  EXTEND,
  HAN,
  HEBREW,
  HIRAGANA,
  JOINER,
  KATAKANA,
  KEY,
  KEYCAP,
  LETTER,
  MID_LETTER,
  MID_NUMBER,
  NUMERIC,
  PICTOGRAPH,
  PICTURE_SELECTOR,
  REGIONAL,
  SINGLE_QUOTE,
  TAG,
  TAG_END,
  TEXT_SELECTOR,
  TONE,
  TONE_BASE,
} from "./characters.js";

/** UTF-16 units. */
const LONGEST_WORD = 255;

const ZERO_WIDTH_JOINER = 0x200d;
const SELECTOR = TEXT_SELECTOR | PICTURE_SELECTOR;

/** A text between two positions, read character by character. Positions are UTF-16 units; past `end` there is nothing. */
class Reader {
  text = "";
  end = 0;

  classes(at: number): number {
    return at < this.end ? classesOf(this.text.codePointAt(at)!) : 0;
  }

  /** Position after the character at `at`. */
  after(at: number): number {
    const unit = this.text.charCodeAt(at);
    return unit >= 0xd800 && unit < 0xdc00 && at + 1 < this.end && (this.text.charCodeAt(at + 1) & 0xfc00) === 0xdc00 ? at + 2 : at + 1;
  }

  /** Position after the characters at `at` that extend the one before. */
  extended(at: number): number {
    let next = at;
    while (this.classes(next) & EXTEND) next = this.after(next);
    return next;
  }

  /** The same, but stops at a variation selector. */
  extendedToSelector(at: number): number {
    let next = at;
    for (let is = this.classes(next); is & EXTEND && !(is & SELECTOR); is = this.classes(next)) next = this.after(next);
    return next;
  }
}

/** End of the word of letters, digits, Katakana and underscores at `start`, or `start` when there is none (UAX #29 WB4 to WB13b). */
function wordEnd(reader: Reader, start: number): number {
  let at = start;
  let end = start;
  // Classes of the last character that counts; 0 at the start, CONNECTOR after underscores.
  let last = 0;
  for (;;) {
    const is = reader.classes(at);
    if (is & CONNECTOR) {
      at = reader.extended(reader.after(at));
      if (end > start) end = at;
      last = CONNECTOR;
    } else if (is & KATAKANA) {
      if (last !== 0 && !(last & (CONNECTOR | KATAKANA))) return end;
      end = at = reader.extended(reader.after(at));
      last = KATAKANA;
    } else if (is & (LETTER | NUMERIC)) {
      if (last & KATAKANA) return end;
      end = at = reader.extended(reader.after(at));
      last = is & (LETTER | NUMERIC | HEBREW);
    } else {
      // A mark between two letters or two digits, or a quote after a Hebrew letter.
      const next = is & (MID_LETTER | MID_NUMBER | DOUBLE_QUOTE) ? reader.extended(reader.after(at)) : at;
      if (next === at) return end;
      const follows = reader.classes(next);
      if ((last & LETTER && is & MID_LETTER && follows & LETTER) || (last & NUMERIC && is & MID_NUMBER && follows & NUMERIC)) {
        end = at = reader.extended(reader.after(next));
        // A Hebrew letter after a mark takes no quote: Lucene's grammar has used it up, except where that mark was a quote itself.
        last = follows & (last & HEBREW && is & SINGLE_QUOTE ? LETTER | NUMERIC | HEBREW : LETTER | NUMERIC);
      } else if (last & HEBREW && is & DOUBLE_QUOTE && follows & HEBREW) {
        end = at = reader.extended(reader.after(next));
        last = ENDED;
      } else if (last & HEBREW && is & SINGLE_QUOTE) {
        end = at = next;
        last = ENDED;
      } else return end;
    }
  }
}

/** After a Hebrew letter with its quote: letters and digits may follow at once, but no mark between them. */
const ENDED = 1 << 29;

/** End of one element of a pictograph sequence at `start`, or `start`. With its selector, skin tone and combining marks. */
function elementEnd(reader: Reader, start: number): number {
  let base = start;
  while (reader.classes(base) & JOINER) base = reader.after(base);
  const is = reader.classes(base);
  if (is & (PICTOGRAPH | TONE_BASE)) {
    const marks = reader.extendedToSelector(reader.after(base));
    const follows = reader.classes(marks);
    if (is & TONE_BASE && follows & TONE) return reader.extendedToSelector(reader.after(marks));
    return follows & PICTURE_SELECTOR ? reader.after(marks) : marks;
  }
  return base === start && is & TONE ? reader.extendedToSelector(reader.after(base)) : start;
}

/** End of the pictograph sequence, flag or keycap at `start`, or `start` (the emoji_sequence of UTS #51). */
function pictureEnd(reader: Reader, start: number): number {
  const is = reader.classes(start);
  if (is & KEY) return keycapEnd(reader, start);
  if (is & REGIONAL) {
    const second = reader.extended(reader.after(start));
    return reader.classes(second) & REGIONAL ? reader.extended(reader.after(second)) : start;
  }
  if (!(is & (PICTOGRAPH | TONE_BASE | TONE | JOINER))) return start;
  let end = elementEnd(reader, start);
  if (end === start) return start;
  let tag = end;
  while (reader.classes(tag) & TAG) tag = reader.after(tag);
  if (tag > end && reader.classes(tag) & TAG_END) return reader.after(tag);
  for (;;) {
    // The joiner that binds the next element was read as a mark of this one, or stands after its selector.
    const joined = reader.classes(end) & JOINER ? reader.after(end) : end;
    if (reader.text.charCodeAt(joined - 1) !== ZERO_WIDTH_JOINER) return end;
    const next = elementEnd(reader, joined);
    if (next === joined) return end;
    end = next;
  }
}

function keycapEnd(reader: Reader, start: number): number {
  let end = start;
  let at = reader.after(start);
  for (let is = reader.classes(at); is & EXTEND && !(is & SELECTOR); is = reader.classes(at)) {
    at = reader.after(at);
    if (is & KEYCAP) end = at;
  }
  if (end > start) end = at;
  if (reader.classes(at) & PICTURE_SELECTOR && reader.classes(reader.after(at)) & KEYCAP)
    end = reader.extendedToSelector(reader.after(reader.after(at)));
  return end;
}

/** End of what stands alone at `start`: a run of a complex script, or one Han or Hiragana character. */
function scriptEnd(reader: Reader, start: number): number {
  let at = start;
  while (reader.classes(at) & COMPLEX) at = reader.extended(reader.after(at));
  if (at > start) return at;
  return reader.classes(start) & (HAN | HIRAGANA) ? reader.extended(reader.after(start)) : start;
}

/** End of the longest word at `start`, or `start` when no word begins there. */
function longestEnd(reader: Reader, start: number): number {
  return Math.max(wordEnd(reader, start), pictureEnd(reader, start), scriptEnd(reader, start));
}

/** By ASCII code: 1 letters, 2 digits, 3 what may stand inside a word or begin one, 0 what ends it. */
const ASCII = Uint8Array.from({ length: 128 }, (_, code) => {
  const is = classesOf(code);
  if (is & LETTER) return 1;
  if (is & NUMERIC) return 2;
  return is & (CONNECTOR | MID_LETTER | MID_NUMBER | KEY) ? 3 : 0;
});

/** Calls `emit` with each word, in order. */
export function tokenize(text: string, emit: (word: string) => void): void {
  const reader = new Reader();
  reader.text = text;
  const length = text.length;
  let at = 0;
  while (at < length) {
    let unit = text.charCodeAt(at);
    if (unit < 128 && ASCII[unit] === 0) {
      at++;
      continue;
    }
    // Most words are plain: ASCII letters and digits up to a space or the like.
    let end = at;
    while (unit < 128 && (ASCII[unit] === 1 || ASCII[unit] === 2)) unit = ++end < length ? text.charCodeAt(end) : 32;
    if (end === at || end - at > LONGEST_WORD || unit >= 128 || ASCII[unit] === 3) {
      reader.end = Math.min(length, at + LONGEST_WORD);
      // A window never ends inside a surrogate pair.
      if (reader.end < length && (text.charCodeAt(reader.end - 1) & 0xfc00) === 0xd800) reader.end--;
      end = longestEnd(reader, at);
      if (end === at) {
        at = reader.after(at);
        continue;
      }
    }
    emit(text.slice(at, end));
    at = end;
  }
}
