/** Where an index lies and where it is written to: memory or a file. Numbers are little-endian. */

/** Bytes that can be read at any place. */
export interface ByteSource {
  readonly length: number;
  /** The bytes at [offset, offset + length). They stand until the next read of the same source. */
  read(offset: number, length: number): Uint8Array;
}

/** Bytes that are appended to. */
export interface ByteSink {
  readonly length: number;
  /** Copies what it is given. */
  write(bytes: Uint8Array): void;
}

export function memorySource(bytes: Uint8Array): ByteSource {
  return { length: bytes.length, read: (offset, length) => bytes.subarray(offset, offset + length) };
}

/** A part of a source as a source of its own. */
export function sectionOf(source: ByteSource, start: number, length: number): ByteSource {
  return { length, read: (offset, count) => source.read(start + offset, count) };
}

/** A sink that grows in memory. */
export class MemorySink implements ByteSink {
  private bytes = new Uint8Array(4096);
  length = 0;

  write(bytes: Uint8Array): void {
    const needed = this.length + bytes.length;
    if (needed > this.bytes.length) {
      const larger = new Uint8Array(Math.max(needed, 2 * this.bytes.length));
      larger.set(this.bytes.subarray(0, this.length));
      this.bytes = larger;
    }
    this.bytes.set(bytes, this.length);
    this.length = needed;
  }

  source(): ByteSource {
    return memorySource(this.bytes.slice(0, this.length));
  }
}
