/**
 * The best documents of a disjunctive query, exactly: what scoring every document and sorting would give, without scoring every document.
 *
 * Documents are gone through in windows. In each window the lists are split by what they can add there (the largest impact of the
 * blocks that reach into it): the lists that together cannot lift a document over the worst of the best so far are not gone through,
 * only asked about the documents that the others bring (MaxScore, Turtle & Flood 1995, with block bounds as in Ding & Suel 2011).
 * Sums are in double precision and rounded to a float at the end, as Lucene does; a bound gets a last-bit allowance, so that nothing is
 * lost to the order of summation.
 */
import { termScore } from "./bm25.js";
import { BLOCK, type PostingList } from "./postings.js";

const { fround } = Math;

/** Documents a window. */
const WINDOW = 8192;
/** Sums of a few dozen doubles differ by less than this, relatively, when their order changes. */
const ALLOWANCE = 1 + 1e-12;

/** What the scores of a collection depend on. */
export interface Collection {
  readonly documents: number;
  /** Length byte of each document. */
  readonly lengths: Uint8Array;
  /** tf = 1 impact of each length byte. */
  readonly inverses: Float32Array;
  /** Place of each document among equals: the lower one is better. */
  readonly ranks: Uint32Array;
}

export interface WeightedList {
  readonly postings: PostingList;
  readonly weight: number;
}

/** The best documents so far: a heap with the worst of them on top. */
class Best {
  private readonly documents: number[] = [];
  private readonly scores: number[] = [];

  constructor(
    private readonly limit: number,
    private readonly ranks: Uint32Array,
  ) {}

  /** Documents that score less cannot come in any more. */
  get threshold(): number {
    return this.scores.length < this.limit ? Number.NEGATIVE_INFINITY : this.scores[0]!;
  }

  private isWorse(score: number, document: number, at: number): boolean {
    const other = this.scores[at]!;
    return score < other || (score === other && this.ranks[document]! > this.ranks[this.documents[at]!]!);
  }

  offer(document: number, score: number): void {
    const { documents, scores } = this;
    if (scores.length < this.limit) {
      let at = scores.length;
      scores.push(score);
      documents.push(document);
      while (at > 0) {
        const parent = (at - 1) >> 1;
        if (!this.isWorse(score, document, parent)) break;
        scores[at] = scores[parent]!;
        documents[at] = documents[parent]!;
        at = parent;
      }
      scores[at] = score;
      documents[at] = document;
      return;
    }
    if (this.isWorse(score, document, 0)) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= scores.length) break;
      if (child + 1 < scores.length && this.isWorse(scores[child + 1]!, documents[child + 1]!, child)) child++;
      if (this.isWorse(score, document, child)) break;
      scores[at] = scores[child]!;
      documents[at] = documents[child]!;
      at = child;
    }
    scores[at] = score;
    documents[at] = document;
  }

  sorted(): ScoredDocument[] {
    return this.documents
      .map((document, at) => ({ document, score: this.scores[at]! }))
      .sort((a, b) => b.score - a.score || this.ranks[a.document]! - this.ranks[b.document]!);
  }
}

export interface ScoredDocument {
  readonly document: number;
  /** A 32-bit float. */
  readonly score: number;
}

/** A place in a posting list that only moves forward. */
class Cursor {
  private readonly postings: PostingList;
  private readonly weight: number;
  private readonly documents = new Int32Array(BLOCK);
  private readonly counts = new Int32Array(BLOCK);
  /** Block that is decoded, -1 for none. */
  private decoded = -1;
  /** First block that may hold a document not yet passed. */
  private block = 0;
  private length = 0;
  private at = 0;
  /** Upper bound in the window. */
  bound = 0;

  constructor(
    { postings, weight }: WeightedList,
    private readonly collection: Collection,
  ) {
    this.postings = postings;
    this.weight = weight;
  }

  private score(index: number): number {
    const { lengths, inverses } = this.collection;
    return termScore(this.weight, fround(this.counts[index]! * inverses[lengths[this.documents[index]!]!]!));
  }

  private decode(): void {
    if (this.decoded === this.block) return;
    this.length = this.postings.read(this.block, this.documents, this.counts);
    this.decoded = this.block;
    this.at = 0;
  }

  /** Moves to the first block that reaches `document`. */
  private skipTo(document: number): void {
    const { lastDocuments, blocks } = this.postings;
    if (this.block >= blocks || lastDocuments[this.block]! >= document) return;
    // Galloping: the block sought is mostly near.
    let low = this.block;
    let step = 1;
    while (low + step < blocks && lastDocuments[low + step]! < document) {
      low += step;
      step *= 2;
    }
    let high = Math.min(low + step, blocks);
    while (low + 1 < high) {
      const middle = (low + high) >> 1;
      if (lastDocuments[middle]! < document) low = middle;
      else high = middle;
    }
    this.block = high;
  }

  /** Sets `bound` for the documents in [start, end). */
  enter(start: number, end: number): void {
    this.skipTo(start);
    const { lastDocuments, impacts, blocks } = this.postings;
    let impact = 0;
    for (let block = this.block; block < blocks; block++) {
      if (impacts[block]! > impact) impact = impacts[block]!;
      if (lastDocuments[block]! >= end - 1) break;
    }
    this.bound = impact === 0 ? 0 : termScore(this.weight, impact);
  }

  /** Adds this list's scores for every document in [start, end). @param present a bit for each document of the window */
  addAll(start: number, end: number, scores: Float64Array, present: Uint32Array): void {
    const { blocks, lastDocuments } = this.postings;
    for (; this.block < blocks; this.block++) {
      this.decode();
      const { documents, length } = this;
      let at = this.at;
      for (; at < length; at++) {
        const document = documents[at]!;
        if (document >= end) break;
        if (document < start) continue;
        const place = document - start;
        scores[place] = scores[place]! + this.score(at);
        present[place >> 5] = present[place >> 5]! | (1 << (place & 31));
      }
      this.at = at;
      if (at < length || lastDocuments[this.block]! >= end - 1) return;
    }
  }

  /** This list's score for a document, 0 without. Documents must be asked for in ascending order. */
  scoreOf(document: number): number {
    this.skipTo(document);
    if (this.block >= this.postings.blocks) return 0;
    this.decode();
    const { documents, length } = this;
    let at = this.at;
    while (at < length && documents[at]! < document) at++;
    this.at = at;
    return at < length && documents[at] === document ? this.score(at) : 0;
  }
}

const windowScores = new Float64Array(WINDOW);
const windowBits = new Uint32Array(WINDOW / 32);
const candidates = new Int32Array(WINDOW);

/** Candidates of the window at `start`, ascending, from the bits set; clears the bits. */
function collect(start: number): number {
  let count = 0;
  for (let word = 0; word < windowBits.length; word++) {
    let bits = windowBits[word]!;
    if (bits === 0) continue;
    windowBits[word] = 0;
    while (bits !== 0) {
      const lowest = bits & -bits;
      candidates[count++] = start + word * 32 + (31 - Math.clz32(lowest));
      bits ^= lowest;
    }
  }
  return count;
}

/** The `limit` best documents that have at least one of the terms: by score, equal ones by rank. */
export function topDocuments(lists: readonly WeightedList[], collection: Collection, limit: number): readonly ScoredDocument[] {
  if (limit < 1) return [];
  const best = new Best(limit, collection.ranks);
  const cursors = lists.map((list) => new Cursor(list, collection));
  // sums[i]: what the first i cursors, those with the smallest bounds, can add together.
  const sums = new Float64Array(cursors.length + 1);
  for (let start = 0; start < collection.documents; start += WINDOW) {
    const end = Math.min(start + WINDOW, collection.documents);
    for (const cursor of cursors) cursor.enter(start, end);
    cursors.sort((a, b) => a.bound - b.bound);
    const threshold = best.threshold;
    let skipped = 0;
    for (let i = 0; i < cursors.length; i++) {
      sums[i + 1] = sums[i]! + cursors[i]!.bound;
      if (fround(sums[i + 1]! * ALLOWANCE) < threshold) skipped = i + 1;
    }
    for (let i = skipped; i < cursors.length; i++) if (cursors[i]!.bound > 0) cursors[i]!.addAll(start, end, windowScores, windowBits);
    let count = skipped < cursors.length ? collect(start) : 0;
    for (let i = skipped - 1; i >= 0 && count > 0; i--) count = extend(cursors[i]!, start, count, sums[i + 1]!, threshold);
    for (let i = 0; i < count; i++) {
      const document = candidates[i]!;
      best.offer(document, fround(windowScores[document - start]!));
      windowScores[document - start] = 0;
    }
  }
  return best.sorted();
}

/** Drops the candidates that cannot come in even with all of `rest`, adds one more list's score to the others; how many are left. */
function extend(cursor: Cursor, start: number, count: number, rest: number, threshold: number): number {
  let kept = 0;
  for (let i = 0; i < count; i++) {
    const document = candidates[i]!;
    const sum = windowScores[document - start]!;
    if (fround((sum + rest) * ALLOWANCE) < threshold) {
      windowScores[document - start] = 0;
      continue;
    }
    candidates[kept++] = document;
    if (cursor.bound > 0) windowScores[document - start] = sum + cursor.scoreOf(document);
  }
  return kept;
}
