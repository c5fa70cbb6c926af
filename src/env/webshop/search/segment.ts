/**
 * Postings of some documents while they are gathered: terms get numbers as they come, postings stand in the order of the documents, and
 * are sorted by term once, at the end.
 */
import { termOf } from "./analyzer.js";
import type { TermPostings } from "./postings.js";
import { tokenize } from "./tokenizer.js";

const STOP = -1;
/** From this length on a part of a string holds on to the whole of it (V8's sliced strings). */
const SLICED = 13;

/** The same text, not tied to the document it was cut from. */
const detached = (text: string): string => (text.length < SLICED ? text : Buffer.from(text).toString());

function grown(array: Uint32Array, length: number): Uint32Array {
  const larger = new Uint32Array(Math.max(1024, 2 * length));
  larger.set(array);
  return larger;
}

export class Segment {
  /** Word as it stands in a text to its term's number. */
  private readonly words = new Map<string, number>();
  private readonly numbers = new Map<string, number>();
  private readonly terms: string[] = [];
  /** Place of each term's newest posting, plus 1. */
  private newest: Uint32Array = new Uint32Array(1024);
  private term: Uint32Array = new Uint32Array(1024);
  private document: Uint32Array = new Uint32Array(1024);
  private count: Uint32Array = new Uint32Array(1024);
  private postings = 0;

  /** (document, term) pairs so far. */
  get size(): number {
    return this.postings;
  }

  private numberOf(word: string): number {
    const known = this.words.get(word);
    if (known !== undefined) return known;
    const term = termOf(word);
    let number = STOP;
    if (term !== "") {
      number = this.numbers.get(term) ?? this.terms.length;
      if (number === this.terms.length) {
        const own = detached(term);
        this.terms.push(own);
        this.numbers.set(own, number);
        if (number >= this.newest.length) this.newest = grown(this.newest, number);
      }
    }
    this.words.set(detached(word), number);
    return number;
  }

  /** Documents must come in ascending order. @returns terms in the text, repeated ones counted again */
  add(document: number, text: string): number {
    let length = 0;
    tokenize(text, (word) => {
      const number = this.numberOf(word);
      if (number === STOP) return;
      length++;
      const place = this.newest[number]! - 1;
      if (place >= 0 && this.document[place] === document) {
        this.count[place] = this.count[place]! + 1;
        return;
      }
      const next = this.postings++;
      if (next >= this.term.length) {
        this.term = grown(this.term, next);
        this.document = grown(this.document, next);
        this.count = grown(this.count, next);
      }
      this.term[next] = number;
      this.document[next] = document;
      this.count[next] = 1;
      this.newest[number] = next + 1;
    });
    return length;
  }

  /** Terms in ascending order. What is given out is good until the next. */
  *sorted(): Generator<TermPostings> {
    const starts = new Uint32Array(this.terms.length + 1);
    for (let i = 0; i < this.postings; i++) starts[this.term[i]! + 1]!++;
    for (let i = 0; i < this.terms.length; i++) starts[i + 1] = starts[i + 1]! + starts[i]!;
    const documents = new Uint32Array(this.postings);
    const counts = new Uint32Array(this.postings);
    const next = starts.slice();
    for (let i = 0; i < this.postings; i++) {
      const place = next[this.term[i]!]!++;
      documents[place] = this.document[i]!;
      counts[place] = this.count[i]!;
    }
    for (const term of [...this.terms].sort()) {
      const number = this.numbers.get(term)!;
      const start = starts[number]!;
      const end = starts[number + 1]!;
      yield { term, documents: documents.subarray(start, end), counts: counts.subarray(start, end), count: end - start };
    }
  }
}
