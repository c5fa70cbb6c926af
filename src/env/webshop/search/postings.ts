/**
 * The documents that have a term, and how often: written and read in blocks, each with an upper bound of what it can add to a score.
 *
 *   postings = directory, payload
 *   directory = for each block of 128 documents (the last may be shorter): last document u32, largest impact f32, place u32
 *   place = byte offset in the payload * 16 + width of the gaps * 4 + width of the counts; widths 0, 1, 2, 3 mean 0, 1, 2, 4 bytes a value
 *   payload of a block = gaps (document - previous document - 1; the first document of all has -1 before it), counts (tf - 1)
 *
 * Width 0 says that all values are 0. An impact is tf * inverse(length) of BM25, see bm25.ts.
 */
import type { ByteSink, ByteSource } from "./bytes.js";

/** Documents a block. */
export const BLOCK = 128;
const ENTRY_BYTES = 12;
const WIDTHS = [0, 1, 2, 4] as const;

/** Width code of values up to `largest`. */
function widthCode(largest: number): number {
  if (largest === 0) return 0;
  if (largest < 0x100) return 1;
  return largest < 0x10000 ? 2 : 3;
}

function putValues(bytes: Uint8Array, at: number, values: Uint32Array, count: number, code: number): number {
  let next = at;
  for (let i = 0; i < count; i++) {
    const value = values[i]!;
    if (code > 0) bytes[next++] = value;
    if (code > 1) bytes[next++] = value >>> 8;
    if (code > 2) {
      bytes[next++] = value >>> 16;
      bytes[next++] = value >>> 24;
    }
  }
  return next;
}

/** Documents of one term in ascending order with their counts. The arrays may be longer than `count`. */
export interface TermPostings {
  readonly term: string;
  readonly documents: Uint32Array;
  /** Term frequencies, from 1. */
  readonly counts: Uint32Array;
  readonly count: number;
}

/** Writes the postings of one term after another. */
export class PostingsWriter {
  private directory = new Uint8Array(ENTRY_BYTES);
  private payload = new Uint8Array(8 * BLOCK);
  private readonly gaps = new Uint32Array(BLOCK);
  private readonly rests = new Uint32Array(BLOCK);

  /** @param impact tf and document to tf * inverse(length), as a float */
  constructor(
    private readonly sink: ByteSink,
    private readonly impact: (count: number, document: number) => number,
  ) {}

  /** Offset of what was written. */
  write({ documents, counts, count }: TermPostings): number {
    const start = this.sink.length;
    const blocks = Math.ceil(count / BLOCK);
    if (this.directory.length < blocks * ENTRY_BYTES) this.directory = new Uint8Array(2 * blocks * ENTRY_BYTES);
    if (this.payload.length < count * 8) this.payload = new Uint8Array(count * 16);
    const view = new DataView(this.directory.buffer);
    let previous = -1;
    let end = 0;
    for (let block = 0; block < blocks; block++) {
      const first = block * BLOCK;
      const length = Math.min(BLOCK, count - first);
      let largestGap = 0;
      let largestRest = 0;
      let largestImpact = 0;
      for (let i = 0; i < length; i++) {
        const document = documents[first + i]!;
        const frequency = counts[first + i]!;
        const gap = document - previous - 1;
        previous = document;
        this.gaps[i] = gap;
        this.rests[i] = frequency - 1;
        if (gap > largestGap) largestGap = gap;
        if (frequency - 1 > largestRest) largestRest = frequency - 1;
        const impact = this.impact(frequency, document);
        if (impact > largestImpact) largestImpact = impact;
      }
      const gapCode = widthCode(largestGap);
      const restCode = widthCode(largestRest);
      view.setUint32(block * ENTRY_BYTES, previous, true);
      view.setFloat32(block * ENTRY_BYTES + 4, largestImpact, true);
      view.setUint32(block * ENTRY_BYTES + 8, end * 16 + gapCode * 4 + restCode, true);
      end = putValues(this.payload, end, this.gaps, length, gapCode);
      end = putValues(this.payload, end, this.rests, length, restCode);
    }
    this.sink.write(this.directory.subarray(0, blocks * ENTRY_BYTES));
    this.sink.write(this.payload.subarray(0, end));
    return start;
  }
}

/** Reads `count` values plus `add` each into `into`. */
function getValues(bytes: Uint8Array, at: number, count: number, code: number, add: number, into: Int32Array): void {
  if (code === 0) into.fill(add, 0, count);
  else if (code === 1) for (let i = 0; i < count; i++) into[i] = bytes[at + i]! + add;
  else if (code === 2) for (let i = 0, p = at; i < count; i++, p += 2) into[i] = (bytes[p]! | (bytes[p + 1]! << 8)) + add;
  else {
    for (let i = 0, p = at; i < count; i++, p += 4)
      into[i] = (bytes[p]! | (bytes[p + 1]! << 8) | (bytes[p + 2]! << 16) | (bytes[p + 3]! << 24)) + add;
  }
}

/** The postings of one term. The directory is in memory, blocks are read when they are asked for. */
export class PostingList {
  readonly blocks: number;
  /** Last document of each block, ascending. */
  readonly lastDocuments: Uint32Array;
  /** Largest impact of each block. */
  readonly impacts: Float32Array;
  private readonly places: Uint32Array;
  private readonly payload: number;

  /** @param count documents that have the term */
  constructor(
    private readonly source: ByteSource,
    offset: number,
    readonly count: number,
  ) {
    this.blocks = Math.ceil(count / BLOCK);
    this.payload = offset + this.blocks * ENTRY_BYTES;
    this.lastDocuments = new Uint32Array(this.blocks);
    this.impacts = new Float32Array(this.blocks);
    this.places = new Uint32Array(this.blocks);
    const bytes = source.read(offset, this.blocks * ENTRY_BYTES);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let block = 0; block < this.blocks; block++) {
      this.lastDocuments[block] = view.getUint32(block * ENTRY_BYTES, true);
      this.impacts[block] = view.getFloat32(block * ENTRY_BYTES + 4, true);
      this.places[block] = view.getUint32(block * ENTRY_BYTES + 8, true);
    }
  }

  /** Bytes of memory that the directory takes. */
  get footprint(): number {
    return this.blocks * ENTRY_BYTES;
  }

  /**
   * Reads one block. @param documents [BLOCK], ascending @param counts [BLOCK], term frequencies @returns how many there are
   */
  read(block: number, documents: Int32Array, counts: Int32Array): number {
    const count = block + 1 < this.blocks ? BLOCK : this.count - block * BLOCK;
    const place = this.places[block]!;
    const gapCode = (place >> 2) & 3;
    const restCode = place & 3;
    const gapBytes = count * WIDTHS[gapCode]!;
    const bytes = this.source.read(this.payload + (place >>> 4), gapBytes + count * WIDTHS[restCode]!);
    getValues(bytes, 0, count, gapCode, 1, documents);
    getValues(bytes, gapBytes, count, restCode, 1, counts);
    let document = block === 0 ? -1 : this.lastDocuments[block - 1]!;
    for (let i = 0; i < count; i++) {
      document += documents[i]!;
      documents[i] = document;
    }
    return count;
  }
}
