import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { PAGE, PagedFile, PagedSink } from "./paged-file.js";

const START = 100;
let folder: string;
let path: string;
let file: number;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "siri-pages-"));
  path = join(folder, "file");
  file = openSync(path, "w+");
});

afterEach(() => {
  closeSync(file);
  rmSync(folder, { recursive: true });
});

const byteAt = (offset: number): number => (offset * 31 + (offset >> 9)) & 255;

/** A file of so many bytes. @returns checksums of its pages */
function write(length: number): Uint32Array {
  writeSync(file, new Uint8Array(START));
  const sink = new PagedSink(file);
  for (let at = 0; at < length; ) {
    const count = Math.min(length - at, 1 + ((at * 7919) % 100_000));
    sink.write(Uint8Array.from({ length: count }, (_, i) => byteAt(at + i)));
    at += count;
  }
  expect(sink.length).toBe(length);
  return sink.finish();
}

describe("pages", () => {
  it.each([1, PAGE - 1, PAGE, PAGE + 1, 3 * PAGE + 7])("of %i bytes are read as they were written", (length) => {
    const checks = write(length);
    expect(checks.length).toBe(Math.ceil(length / PAGE));
    const pages = new PagedFile(file, path, START, checks, 0);
    expect([...pages.read(0, length)]).toEqual(Array.from({ length }, (_, i) => byteAt(i)));
    expect(pages.read(length - 1, 1)[0]).toBe(byteAt(length - 1));
    expect(pages.read(length - 1, 0).length).toBe(0);
  });

  it("are right however they come and go in a small memory", () => {
    // 9 MiB through 4 MiB.
    const length = 576 * PAGE;
    const pages = new PagedFile(file, path, START, write(length), 0);
    let state = 1;
    const random = (below: number) => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    for (let i = 0; i < 2000; i++) {
      const count = random(i % 50 === 0 ? 5 * PAGE : 300);
      const offset = random(length - count);
      const bytes = pages.read(offset, count);
      const wrong = bytes.findIndex((byte, k) => byte !== byteAt(offset + k));
      if (bytes.length !== count || wrong >= 0) expect.fail(`${count} bytes at ${offset}: ${bytes.length}, wrong at ${wrong}`);
    }
  });

  it("that were damaged are named when they are read, again and again; the others are not touched by it", () => {
    const pages = new PagedFile(file, path, START, write(3 * PAGE), 0);
    writeSync(file, Uint8Array.of(byteAt(PAGE + 5) ^ 1), 0, 1, START + PAGE + 5);
    expect(pages.read(10, 1)[0]).toBe(byteAt(10));
    for (let i = 0; i < 3; i++)
      expect(() => pages.read(PAGE - 2, 4)).toThrow(/damaged: the checksum of the page at byte 16484 differs; delete it/);
    expect(pages.read(2 * PAGE, 1)[0]).toBe(byteAt(2 * PAGE));
    writeSync(file, Uint8Array.of(byteAt(PAGE + 5)), 0, 1, START + PAGE + 5);
    expect(pages.read(PAGE + 5, 1)[0]).toBe(byteAt(PAGE + 5));
  });

  it("beyond the end are an error", () => {
    const checks = write(PAGE);
    expect(() => new PagedFile(file, path, START, checks, 0).read(PAGE, 1)).toThrow(/points to page 1 of 1/);
    expect(() => new PagedFile(file, path, START, Uint32Array.of(...checks, 5), 0).read(PAGE, 1)).toThrow(/ends at byte 16484/);
  });
});
