/**
 * A file of one JSON value per line that only grows, and whose length a checkpoint can vouch for. Knows nothing of what the lines
 * mean. Numbers that JSON lacks (NaN, infinities) are written as null.
 */
import { closeSync, existsSync, fstatSync, fsyncSync, ftruncateSync, openSync, readSync, statSync, writeSync } from "node:fs";
import { SiriError } from "../errors.js";
import { explainFileError } from "./durable.js";

export class JsonLines {
  readonly path: string;
  #fd: number;
  #bytes: number;

  private constructor(path: string, fd: number, bytes: number) {
    this.path = path;
    this.#fd = fd;
    this.#bytes = bytes;
  }

  /**
   * Opens the file for appending after cutting it to its first `bytes` bytes.
   * @throws SiriError RUN_LINES_SHORT, see requireLines
   */
  static open(path: string, bytes: number): JsonLines {
    let fd: number | undefined;
    try {
      if (bytes > 0) requireLines(path, bytes);
      fd = openSync(path, "a");
      if (fstatSync(fd).size > bytes) ftruncateSync(fd, bytes);
      return new JsonLines(path, fd, bytes);
    } catch (error) {
      if (fd !== undefined) closeSync(fd);
      throw explainFileError(error, "a record file", path);
    }
  }

  /** Length in bytes of what was appended so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Appends one line. Keys are written in the record's own order. */
  append(record: object): void {
    const line = Buffer.from(`${JSON.stringify(record)}\n`);
    try {
      for (let done = 0; done < line.length; ) done += writeSync(this.#fd, line, done);
    } catch (error) {
      // What is there of the line goes again, so that the file always ends with a whole one.
      try {
        ftruncateSync(this.#fd, this.#bytes);
      } catch {
        // A file that cannot be cut now is cut at the next start.
      }
      throw explainFileError(error, "a record", this.path);
    }
    this.#bytes += line.length;
  }

  sync(): void {
    try {
      fsyncSync(this.#fd);
    } catch (error) {
      throw explainFileError(error, "records", this.path);
    }
  }

  close(): void {
    if (this.#fd < 0) return;
    closeSync(this.#fd);
    this.#fd = -1;
  }
}

/**
 * Checks that a file begins with `bytes` bytes of whole lines.
 * @throws SiriError RUN_LINES_SHORT when it is shorter, or that length would fall inside a line
 */
export function requireLines(path: string, bytes: number): void {
  const size = existsSync(path) ? statSync(path).size : 0;
  if (size < bytes) throw new SiriError("RUN_LINES_SHORT", `${path} holds ${size} bytes but its checkpoint covers ${bytes}.`);
  if (bytes === 0) return;
  const fd = openSync(path, "r");
  try {
    const last = Buffer.alloc(1);
    readSync(fd, last, 0, 1, bytes - 1);
    if (last[0] !== 0x0a) throw new SiriError("RUN_LINES_SHORT", `${path} has no line end at byte ${bytes}, where its checkpoint has one.`);
  } finally {
    closeSync(fd);
  }
}
