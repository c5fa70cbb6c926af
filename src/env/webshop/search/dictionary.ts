/**
 * The terms of an index in order, each with where its postings are. Terms are grouped by 64; the first term of each group is kept in
 * memory, a group is read when one of its terms is looked up.
 *
 *   entry = postings offset u48, documents u32, bytes of the term u16, term in UTF-8
 *   heads = for each group: offset of the group u48, bytes of its first term u16, first term in UTF-8
 *
 * Order is that of JavaScript's `<` on strings.
 */
import type { ByteSink, ByteSource } from "./bytes.js";

/** Terms a group. */
const GROUP = 64;
const ENTRY_BYTES = 12;
const HEAD_BYTES = 8;

export class DictionaryWriter {
  private terms = 0;

  constructor(
    private readonly entries: ByteSink,
    private readonly heads: ByteSink,
  ) {}

  get length(): number {
    return this.terms;
  }

  /** Terms must come in ascending order. @param count documents that have the term */
  write(term: string, offset: number, count: number): void {
    const text = Buffer.from(term);
    if (this.terms % GROUP === 0) {
      const head = Buffer.alloc(HEAD_BYTES);
      head.writeUIntLE(this.entries.length, 0, 6);
      head.writeUInt16LE(text.length, 6);
      this.heads.write(head);
      this.heads.write(text);
    }
    const entry = Buffer.alloc(ENTRY_BYTES);
    entry.writeUIntLE(offset, 0, 6);
    entry.writeUInt32LE(count, 6);
    entry.writeUInt16LE(text.length, 10);
    this.entries.write(entry);
    this.entries.write(text);
    this.terms++;
  }
}

/** Where a term's postings are. */
export interface TermEntry {
  readonly offset: number;
  /** Documents that have the term. */
  readonly count: number;
}

export class Dictionary {
  private readonly firstTerms: string[] = [];
  private readonly offsets: number[] = [];

  constructor(
    private readonly entries: ByteSource,
    heads: Uint8Array,
  ) {
    const bytes = Buffer.from(heads.buffer, heads.byteOffset, heads.byteLength);
    for (let at = 0; at < bytes.length; ) {
      const length = bytes.readUInt16LE(at + 6);
      this.offsets.push(bytes.readUIntLE(at, 6));
      this.firstTerms.push(bytes.toString("utf8", at + HEAD_BYTES, at + HEAD_BYTES + length));
      at += HEAD_BYTES + length;
    }
    this.offsets.push(entries.length);
  }

  find(term: string): TermEntry | undefined {
    let low = 0;
    let high = this.firstTerms.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.firstTerms[middle]! <= term) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return undefined;
    const start = this.offsets[low - 1]!;
    const group = this.entries.read(start, this.offsets[low]! - start);
    const bytes = Buffer.from(group.buffer, group.byteOffset, group.byteLength);
    const sought = Buffer.from(term);
    for (let at = 0; at < bytes.length; ) {
      const length = bytes.readUInt16LE(at + 10);
      const end = at + ENTRY_BYTES + length;
      if (length === sought.length && sought.compare(bytes, at + ENTRY_BYTES, end) === 0)
        return { offset: bytes.readUIntLE(at, 6), count: bytes.readUInt32LE(at + 6) };
      at = end;
    }
    return undefined;
  }
}
