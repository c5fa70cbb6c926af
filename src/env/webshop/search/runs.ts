/**
 * Sorted postings that are too many for memory: each segment goes to a file of its own, and the files are read side by side.
 *
 *   run = for each term in order: bytes of the term u16, term in UTF-8, documents u32, then all documents u32 and all counts u32
 */
import { closeSync, openSync, readSync, writeSync } from "node:fs";
import type { TermPostings } from "./postings.js";

const BUFFER = 2 ** 20;

const asBytes = (values: Uint32Array): Uint8Array => new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

/** Writes one run. @throws Error of the file system */
export function writeRun(path: string, terms: Iterable<TermPostings>): void {
  const file = openSync(path, "wx");
  const buffer = Buffer.alloc(BUFFER);
  let used = 0;
  const flush = () => {
    for (let done = 0; done < used; ) done += writeSync(file, buffer, done, used - done);
    used = 0;
  };
  const put = (bytes: Uint8Array) => {
    for (let done = 0; done < bytes.length; ) {
      const count = Math.min(bytes.length - done, BUFFER - used);
      buffer.set(bytes.subarray(done, done + count), used);
      used += count;
      done += count;
      if (used === BUFFER) flush();
    }
  };
  try {
    const numbers = Buffer.alloc(6);
    for (const { term, documents, counts, count } of terms) {
      const text = Buffer.from(term);
      numbers.writeUInt16LE(text.length, 0);
      numbers.writeUInt32LE(count, 2);
      put(numbers);
      put(text);
      put(asBytes(documents.subarray(0, count)));
      put(asBytes(counts.subarray(0, count)));
    }
    flush();
  } finally {
    closeSync(file);
  }
}

/** A run from its first term to its last. */
class RunReader {
  private readonly file: number;
  private readonly buffer = Buffer.alloc(BUFFER);
  private used = 0;
  private at = 0;
  /** The current term; undefined at the end. */
  term: string | undefined;
  count = 0;

  constructor(path: string) {
    this.file = openSync(path, "r");
  }

  /** Fills `bytes`; false when there is nothing more. */
  private take(bytes: Uint8Array): boolean {
    for (let done = 0; done < bytes.length; ) {
      if (this.at === this.used) {
        this.used = readSync(this.file, this.buffer, 0, BUFFER, null);
        this.at = 0;
        if (this.used === 0) return false;
      }
      const count = Math.min(bytes.length - done, this.used - this.at);
      bytes.set(this.buffer.subarray(this.at, this.at + count), done);
      this.at += count;
      done += count;
    }
    return true;
  }

  /** Goes to the next term. The postings of the last one must have been read. */
  next(): void {
    const numbers = Buffer.alloc(6);
    this.term = undefined;
    if (!this.take(numbers)) return;
    const text = Buffer.alloc(numbers.readUInt16LE(0));
    this.take(text);
    this.term = text.toString();
    this.count = numbers.readUInt32LE(2);
  }

  /** Puts the postings of the current term at `place`. */
  postings(documents: Uint32Array, counts: Uint32Array, place: number): void {
    this.take(asBytes(documents.subarray(place, place + this.count)));
    this.take(asBytes(counts.subarray(place, place + this.count)));
  }

  close(): void {
    closeSync(this.file);
  }
}

/** All terms of several runs in order. Documents ascend from run to run. What is given out is good until the next. */
export function* mergeRuns(paths: readonly string[]): Generator<TermPostings> {
  const runs: RunReader[] = [];
  try {
    for (const path of paths) runs.push(new RunReader(path));
    for (const run of runs) run.next();
    let documents = new Uint32Array(BUFFER);
    let counts = new Uint32Array(BUFFER);
    for (;;) {
      let term: string | undefined;
      for (const run of runs) if (run.term !== undefined && (term === undefined || run.term < term)) term = run.term;
      if (term === undefined) return;
      const holders = runs.filter((run) => run.term === term);
      const total = holders.reduce((sum, run) => sum + run.count, 0);
      if (total > documents.length) {
        documents = new Uint32Array(2 * total);
        counts = new Uint32Array(2 * total);
      }
      let count = 0;
      for (const run of holders) {
        run.postings(documents, counts, count);
        count += run.count;
        run.next();
      }
      yield { term, documents, counts, count };
    }
  } finally {
    for (const run of runs) run.close();
  }
}
