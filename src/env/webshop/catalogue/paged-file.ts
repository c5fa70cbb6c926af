/**
 * A large file that is read in pages through a bounded memory, and written in one go. Every page carries a checksum, so that a damaged
 * file is found out when the damage is read. Knows nothing of what the bytes mean.
 */
import { readSync, writeSync } from "node:fs";
import { crc32 } from "node:zlib";
import { SiriError } from "../../../errors.js";
import type { ByteSink, ByteSource } from "../search/bytes.js";

/** Bytes a page. */
export const PAGE = 2 ** 14;
/** Pages that memory is taken for at once. */
const BATCH = 256;

/** @throws SiriError WEBSHOP_INDEX when the file ends before */
export function readFully(file: number, path: string, bytes: Uint8Array, offset: number): void {
  for (let done = 0; done < bytes.length; ) {
    const count = readSync(file, bytes, done, bytes.length - done, offset + done);
    if (count === 0) throw damaged(path, `it ends at byte ${offset + done}`);
    done += count;
  }
}

function damaged(path: string, what: string): SiriError {
  return new SiriError("WEBSHOP_INDEX", `the catalogue index '${path}' is damaged: ${what}; delete it, and it is made anew from the data`);
}

/** Appends to a file and takes the checksum of every page. */
export class PagedSink implements ByteSink {
  private readonly buffer = Buffer.alloc(BATCH * PAGE);
  private used = 0;
  private checks = new Uint32Array(1024);
  private pages = 0;
  length = 0;

  constructor(private readonly file: number) {}

  write(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) {
      const count = Math.min(bytes.length - done, this.buffer.length - this.used);
      this.buffer.set(bytes.subarray(done, done + count), this.used);
      this.used += count;
      done += count;
      if (this.used === this.buffer.length) this.flush();
    }
    this.length += bytes.length;
  }

  /** Fills the last page with zeros. @returns the checksum of each page */
  finish(): Uint32Array {
    const padding = (PAGE - (this.length % PAGE)) % PAGE;
    this.write(new Uint8Array(padding));
    this.flush();
    return this.checks.slice(0, this.pages);
  }

  private flush(): void {
    for (let at = 0; at < this.used; at += PAGE) {
      if (this.pages === this.checks.length) {
        const larger = new Uint32Array(2 * this.pages);
        larger.set(this.checks);
        this.checks = larger;
      }
      this.checks[this.pages++] = crc32(this.buffer.subarray(at, at + PAGE));
    }
    for (let done = 0; done < this.used; ) done += writeSync(this.file, this.buffer, done, this.used - done);
    this.used = 0;
  }
}

/** Reads pages as they are needed and keeps the latest. */
export class PagedFile implements ByteSource {
  readonly length: number;
  /** Slot that holds each page, -1 for none. */
  private readonly slots: Int32Array;
  /** Page in each slot. */
  private readonly pages: Int32Array;
  /** Slots that were used since the clock's hand passed last. */
  private readonly recent: Uint8Array;
  private readonly memory: Buffer[] = [];
  private filled = 0;
  private hand = 0;
  private scratch = Buffer.alloc(PAGE);

  /**
   * @param checks of each page from `start` on
   * @param start of the first page in the file
   * @param cacheBytes memory for pages, at least one batch of 4 MiB
   */
  constructor(
    private readonly file: number,
    private readonly path: string,
    private readonly start: number,
    private readonly checks: Uint32Array,
    cacheBytes: number,
  ) {
    this.length = checks.length * PAGE;
    this.slots = new Int32Array(checks.length).fill(-1);
    const slots = Math.max(BATCH, Math.floor(cacheBytes / PAGE));
    this.pages = new Int32Array(slots);
    this.recent = new Uint8Array(slots);
  }

  read(offset: number, length: number): Uint8Array {
    const page = Math.floor(offset / PAGE);
    const within = offset - page * PAGE;
    if (within + length <= PAGE) {
      const { memory, at } = this.place(page);
      return memory.subarray(at + within, at + within + length);
    }
    if (this.scratch.length < length) this.scratch = Buffer.alloc(2 * length);
    for (let done = 0, next = page, from = within; done < length; next++, from = 0) {
      const { memory, at } = this.place(next);
      const count = Math.min(PAGE - from, length - done);
      memory.copy(this.scratch, done, at + from, at + from + count);
      done += count;
    }
    return this.scratch.subarray(0, length);
  }

  /** Where a page is in memory, read when it is not there. */
  private place(page: number): { readonly memory: Buffer; readonly at: number } {
    let slot = this.slots[page] ?? -1;
    if (slot < 0) slot = this.load(page);
    this.recent[slot] = 1;
    return { memory: this.memory[Math.floor(slot / BATCH)]!, at: (slot % BATCH) * PAGE };
  }

  private load(page: number): number {
    if (page >= this.checks.length) throw damaged(this.path, `it points to page ${page} of ${this.checks.length}`);
    const slot = this.filled < this.pages.length ? this.filled : this.oldest();
    if (slot >= this.memory.length * BATCH) this.memory.push(Buffer.alloc(BATCH * PAGE));
    const at = (slot % BATCH) * PAGE;
    const bytes = this.memory[Math.floor(slot / BATCH)]!.subarray(at, at + PAGE);
    readFully(this.file, this.path, bytes, this.start + page * PAGE);
    if (crc32(bytes) !== this.checks[page])
      throw damaged(this.path, `the checksum of the page at byte ${this.start + page * PAGE} differs`);
    if (slot === this.filled) this.filled++;
    this.pages[slot] = page;
    this.slots[page] = slot;
    return slot;
  }

  /** A slot that was not used for a while, emptied. */
  private oldest(): number {
    while (this.recent[this.hand] === 1) {
      this.recent[this.hand] = 0;
      this.hand = (this.hand + 1) % this.pages.length;
    }
    const slot = this.hand;
    this.hand = (this.hand + 1) % this.pages.length;
    const page = this.pages[slot]!;
    // A page whose reading failed halfway has left its slot behind.
    if (page >= 0 && this.slots[page] === slot) this.slots[page] = -1;
    this.pages[slot] = -1;
    return slot;
  }
}
