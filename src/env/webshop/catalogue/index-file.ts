/**
 * The file of a catalogue on the disk: sections one after another, a table of them at the end, a header in front. Little-endian.
 *
 *   header (64 bytes) = "SIRISHOP", version u32, page bytes u32, start of the contents table f64, its bytes u32, its CRC-32 u32,
 *                       bytes of the whole file f64, zeros, CRC-32 of the 60 bytes before u32
 *   pages             = sections, from byte 16384 on, the last page filled with zeros
 *   checks            = CRC-32 of each page u32
 *   contents table    = JSON: where the sections and checks are, and what the catalogue says of itself
 *
 * The header is written last: a file without it is no index.
 */
import { closeSync, fstatSync, fsyncSync, openSync, writeSync } from "node:fs";
import { crc32 } from "node:zlib";
import { z } from "zod";
import { SiriError } from "../../../errors.js";
import { type ByteSource, sectionOf } from "../search/bytes.js";
import { PAGE, PagedFile, PagedSink, readFully } from "./paged-file.js";

const MAGIC = "SIRISHOP";
const VERSION = 2;
const HEADER_BYTES = 64;

const contentsSchema = z.strictObject({
  /** Section to its offset among the pages, and its bytes. */
  sections: z.record(z.string(), z.tuple([z.number(), z.number()])),
  pages: z.number().int(),
  about: z.unknown(),
});

/** Writes a new index file. Sections are written one at a time, in any order. */
export class IndexFileWriter {
  readonly sink: PagedSink;
  private readonly file: number;
  private readonly sections: Record<string, readonly [number, number]> = {};

  /** @throws Error of the file system */
  constructor(path: string) {
    this.file = openSync(path, "wx");
    writeSync(this.file, new Uint8Array(PAGE));
    this.sink = new PagedSink(this.file);
  }

  /** What `write` appends to the sink becomes a section. */
  section<T>(name: string, write: () => T): T {
    const start = this.sink.length;
    const result = write();
    this.note(name, start);
    return result;
  }

  /** What was appended since `start` is a section. */
  note(name: string, start: number): void {
    this.sections[name] = [start, this.sink.length - start];
  }

  /** Bytes of a typed array as a section. */
  table(name: string, table: NodeJS.TypedArray): void {
    this.section(name, () => this.sink.write(new Uint8Array(table.buffer, table.byteOffset, table.byteLength)));
  }

  /** @returns bytes of the file */
  finish(about: unknown): number {
    const checks = this.sink.finish();
    const table = Buffer.from(JSON.stringify({ sections: this.sections, pages: checks.length, about }));
    const place = PAGE + checks.length * (PAGE + 4);
    const length = place + table.length;
    for (const bytes of [new Uint8Array(checks.buffer, checks.byteOffset, checks.byteLength), table]) {
      for (let done = 0; done < bytes.length; ) done += writeSync(this.file, bytes, done);
    }
    const header = Buffer.alloc(HEADER_BYTES);
    header.write(MAGIC, 0, "latin1");
    header.writeUInt32LE(VERSION, 8);
    header.writeUInt32LE(PAGE, 12);
    header.writeDoubleLE(place, 16);
    header.writeUInt32LE(table.length, 24);
    header.writeUInt32LE(crc32(table), 28);
    header.writeDoubleLE(length, 32);
    header.writeUInt32LE(crc32(header.subarray(0, HEADER_BYTES - 4)), HEADER_BYTES - 4);
    fsyncSync(this.file);
    writeSync(this.file, header, 0, HEADER_BYTES, 0);
    fsyncSync(this.file);
    this.close();
    return length;
  }

  close(): void {
    closeSync(this.file);
  }
}

/** An index file that is open for reading. */
export class IndexFile {
  private constructor(
    private readonly file: number,
    private readonly path: string,
    private readonly contents: z.infer<typeof contentsSchema>,
    private readonly pages: PagedFile,
    readonly bytes: number,
  ) {}

  /** What the catalogue says of itself. */
  get about(): unknown {
    return this.contents.about;
  }

  /** @throws SiriError WEBSHOP_INDEX when it is no sound index of this version, Error of the file system */
  static open(path: string, cacheBytes: number): IndexFile {
    const file = openSync(path, "r");
    try {
      const header = Buffer.alloc(HEADER_BYTES);
      readFully(file, path, header, 0);
      const wrong = (what: string) => new SiriError("WEBSHOP_INDEX", `the catalogue index '${path}' cannot be used: ${what}`);
      if (header.toString("latin1", 0, 8) !== MAGIC) throw wrong("it is not one, or was not finished");
      if (header.readUInt32LE(8) !== VERSION) throw wrong(`its format is ${header.readUInt32LE(8)}, this program reads ${VERSION}`);
      if (crc32(header.subarray(0, HEADER_BYTES - 4)) !== header.readUInt32LE(HEADER_BYTES - 4)) throw wrong("its header is damaged");
      const length = header.readDoubleLE(32);
      if (fstatSync(file).size !== length) throw wrong(`it has ${fstatSync(file).size} bytes of ${length}`);
      const table = Buffer.alloc(header.readUInt32LE(24));
      readFully(file, path, table, header.readDoubleLE(16));
      if (crc32(table) !== header.readUInt32LE(28)) throw wrong("its table of contents is damaged");
      const contents = contentsSchema.parse(JSON.parse(table.toString()));
      const checks = new Uint32Array(contents.pages);
      readFully(file, path, new Uint8Array(checks.buffer), PAGE + contents.pages * PAGE);
      return new IndexFile(file, path, contents, new PagedFile(file, path, PAGE, checks, cacheBytes), length);
    } catch (error) {
      closeSync(file);
      throw error;
    }
  }

  private place(name: string): readonly [number, number] {
    const place = this.contents.sections[name];
    if (!place)
      throw new SiriError("WEBSHOP_INDEX", `the catalogue index '${this.path}' has no section '${name}'; delete it, and it is made anew`);
    return place;
  }

  /** A section that is read piece by piece. */
  section(name: string): ByteSource {
    const [start, length] = this.place(name);
    return sectionOf(this.pages, start, length);
  }

  /** A whole section in memory, on its own buffer. */
  table(name: string): ArrayBuffer {
    const [start, length] = this.place(name);
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const count = Math.min(PAGE, length - done);
      bytes.set(this.pages.read(start + done, count), done);
      done += count;
    }
    return bytes.buffer;
  }

  close(): void {
    closeSync(this.file);
  }
}
