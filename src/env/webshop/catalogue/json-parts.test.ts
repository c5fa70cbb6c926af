/** Parts of JSON lists and objects, however the bytes are cut into chunks, and what is saved of damaged files. */
import { describe, expect, it } from "vitest";
import { JsonParts, namesInOrder, parseJson } from "./json-parts.js";

interface Reading {
  readonly parts: string[];
  readonly damage: string[];
  readonly end: string | undefined;
}

/** @param chunk bytes at a time @param trusts whether a part after damage is taken for sound */
function read(kind: "list" | "object", text: string | Buffer, chunk: number, trusts: (part: string) => boolean = () => true): Reading {
  const [parts, damage]: [string[], string[]] = [[], []];
  const reader: JsonParts = new JsonParts(kind, {
    part({ bytes, doubtful }) {
      const part = bytes.toString();
      if (doubtful && !trusts(part)) return;
      reader.trust();
      parts.push(part.trim());
    },
    damage: (problem, offset) => damage.push(`${offset}: ${problem}`),
  });
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += chunk) reader.push(bytes.subarray(at, at + chunk));
  return { parts, damage, end: reader.end() };
}

const CHUNKS = [1, 2, 3, 7, 64, 4096];

const LIST = [
  { asin: "B1", name: 'brackets ] } [ { and "quotes" \\', nested: [[{ a: [] }], {}] },
  { asin: "B2", name: "é 日本 👩‍👧 \u2028", empty: "", numbers: [-1.5e-7, 0, 1e21], not: null, yes: true, no: false },
  [],
  "a text, with a comma",
  -12.5,
  {},
];

describe("a list", () => {
  it.each(CHUNKS)("comes in parts from chunks of %i bytes", (chunk) => {
    for (const text of [JSON.stringify(LIST), JSON.stringify(LIST, null, 2), `\ufeff \n${JSON.stringify(LIST)}\n\n`]) {
      const { parts, damage, end } = read("list", text, chunk);
      expect(parts.map((part) => JSON.parse(part) as unknown)).toEqual(LIST);
      expect([damage, end]).toEqual([[], undefined]);
    }
  });

  it("may be empty", () => {
    for (const text of ["[]", " [ ]\n"]) expect(read("list", text, 1)).toEqual({ parts: [], damage: [], end: undefined });
  });

  it("is the same as what JSON.parse reads, for random values", () => {
    let state = 3;
    const random = (below: number) => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    const letters = ['"', "\\", "{", "]", ",", "é", "日", "👧", "a", "\n", "\u0001"];
    const text = () => Array.from({ length: random(8) }, () => letters[random(letters.length)]).join("");
    const value = (depth: number): unknown => {
      if (depth > 3 || random(3) === 0) return [text(), random(1000) / 7, null, true][random(4)];
      if (random(2) === 0) return Array.from({ length: random(4) }, () => value(depth + 1));
      return Object.fromEntries(Array.from({ length: random(4) }, () => [text(), value(depth + 1)]));
    };
    for (let i = 0; i < 300; i++) {
      const list = Array.from({ length: random(6) }, () => value(0));
      const { parts, damage, end } = read("list", JSON.stringify(list, null, random(2)), 1 + random(20));
      expect(parts.map((part) => JSON.parse(part) as unknown)).toEqual(list);
      expect([damage, end]).toEqual([[], undefined]);
    }
  });
});

describe("an object", () => {
  it.each(CHUNKS)("comes in parts from chunks of %i bytes", (chunk) => {
    const object = { B1: { attributes: ["a, b", "c}"] }, 'B"2': [], "3": {}, é: "x" };
    const { parts, damage, end } = read("object", JSON.stringify(object), chunk);
    expect(Object.assign({}, ...parts.map((part) => JSON.parse(`{${part}}`) as object))).toEqual(object);
    expect([damage, end]).toEqual([[], undefined]);
  });

  it("tells the names of a member in the order of the text", () => {
    const record = Buffer.from('{"size": {"7": null}, "options": {"b": 1, "11": [{"2": 3}], "7": {}, "é": 2}}');
    expect(namesInOrder(record, "options")).toEqual(["b", "11", "7", "é"]);
    expect(namesInOrder(record, "absent")).toEqual([]);
  });
});

describe("damage", () => {
  const record = (number: number) => `{"asin": "B${number}", "name": "text ${number}", "options": [{"value": "x"}, {"value": "y"}]}`;
  const list = (...records: string[]) => `[${records.join(", ")}]`;
  const trusts = (part: string) => part.includes('"asin"');

  it.each<readonly [what: string, broken: string, problem: RegExp]>([
    ["a bracket that closes nothing", '{"asin": "B2", "options": [1, 2}}', /closes nothing/],
    ["a quote too few", '{"asin": "B2", "name": "no end, "options": [{"value": "x"}]}', /outside of a string/],
    ["a line end in a string", '{"asin": "B2", "name": "two\nlines"}', /control character/],
    ["text that is no JSON", '{"asin": "B2", "name": undefined}', /outside of a string/],
    ["a list bracket too many", `${record(2)}]`, /after the last bracket/],
    ["an object bracket too many", `${record(2)}}`, /closes nothing/],
  ])("%s: costs its own record", (_, broken, problem) => {
    for (const chunk of CHUNKS) {
      const { parts, damage, end } = read("list", list(record(1), broken, record(3), record(4)), chunk, trusts);
      expect(parts.filter((part) => !part.includes("B2"))).toEqual([record(1), record(3), record(4)]);
      expect(damage).toHaveLength(1);
      expect(damage[0]).toMatch(problem);
      expect(end).toBeUndefined();
    }
  });

  it("a bracket too few costs its own record", () => {
    for (const chunk of CHUNKS) {
      const text = list(record(1), '{"asin": "B2", "options": [{"value": "x"}', record(3), record(4), record(5));
      const { parts, damage, end } = read("list", text, chunk, trusts);
      expect(parts).toEqual([record(1), record(3), record(4), record(5)]);
      expect(damage).toEqual([]);
      expect(end).toMatch(/inside the part that begins at byte 80: it is cut, or a bracket or quote is missing there/);
    }
  });

  it("bytes that are no UTF-8", () => {
    const text = Buffer.concat([Buffer.from(`[${record(1)}, {"asin": "`), Buffer.of(0xff), Buffer.from(`"}, ${record(3)}]`)]);
    for (const chunk of CHUNKS) {
      const { parts, damage, end } = read("list", text, chunk);
      expect([parts, end]).toEqual([[record(1), record(3)], undefined]);
      expect(damage).toEqual([expect.stringMatching(/not UTF-8/)]);
    }
  });

  it("two commas", () => {
    expect(read("list", "[1, , 2]", 1)).toEqual({ parts: ["1", "2"], damage: ["4: a value is missing"], end: undefined });
  });

  it("a file that ends too early says where", () => {
    const text = list(record(1), record(2));
    for (const chunk of CHUNKS) {
      const inside = read("list", text.slice(0, -20), chunk);
      expect(inside.parts).toEqual([record(1)]);
      expect(inside.end).toMatch(/ends inside the part that begins at byte 80: it is cut/);
      const before = read("list", text.slice(0, -1), chunk);
      expect(before.end).toMatch(/ends inside the part/);
      expect(read("list", `[${record(1)}, `, chunk).end).toMatch(/before its last bracket/);
      expect(read("list", "", chunk).end).toBe("the file holds no list");
      expect(read("object", " ", chunk).end).toBe("the file holds no object");
    }
  });

  it("a file of another kind", () => {
    const { parts, damage, end } = read("list", '{"a": 1}', 3);
    expect(parts).toEqual([]);
    expect(damage).toEqual(['0: the file does not begin with "[" (byte 0)']);
    expect(end).toMatch(/before its last bracket/);
  });
});

describe("JSON as Python writes it", () => {
  it("has NaN and infinities, which are null; text is left alone", () => {
    expect(parseJson('{"a": NaN, "b": [-Infinity, Infinity], "c": "NaN \\" Infinity"}')).toEqual({
      a: null,
      b: [null, null],
      c: 'NaN " Infinity',
    });
    expect(() => parseJson('{"a": nan}')).toThrow(SyntaxError);
  });
});
