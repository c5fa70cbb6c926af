import { describe, expect, it } from "vitest";
import {
  codePointLength,
  compareCodePoints,
  dictRepr,
  floatRepr,
  isSpace,
  jsonDumps,
  jsonForHtml,
  roundHalfEven,
  stringRepr,
  strip,
} from "./text.js";

describe("text as Python has it (expected values printed by CPython 3.11)", () => {
  it("knows white space", () => {
    for (const space of ["\t", "\x0b", "\x1c", "\x1f", "\x85", "\xa0", "\u1680", "\u2028", "\u3000"]) expect(isSpace(space)).toBe(true);
    for (const other of ["", "\ufeff", "\u200b", "\u180e", "a", " a"]) expect(isSpace(other)).toBe(false);
  });

  it("strips", () => {
    expect(strip(" \x85\x1fa b\u3000\n")).toBe("a b");
    expect(strip("\ufeffa\u200b ")).toBe("\ufeffa\u200b");
    expect(strip(" \xa0 ")).toBe("");
    expect(strip("..a.b...", ".")).toBe("a.b");
    expect(strip("...", ".")).toBe("");
    expect(strip("😀a😀", "😀")).toBe("a");
  });

  it("counts and orders by code point", () => {
    expect(codePointLength("a😀é")).toBe(3);
    // In UTF-16 order the emoji would come before the private character.
    expect(["\ue000", "😀", "b", "ab", "a", "\uffff", "é"].sort(compareCodePoints)).toEqual([
      "a",
      "ab",
      "b",
      "é",
      "\ue000",
      "\uffff",
      "😀",
    ]);
    expect(compareCodePoints("😀a", "😀b")).toBeLessThan(0);
    expect(compareCodePoints("same", "same")).toBe(0);
  });

  it.each([
    [100, "100.0"],
    [877.8, "877.8"],
    [1 / 3, "0.3333333333333333"],
    [1 / 14, "0.07142857142857142"],
    [0, "0.0"],
    [-0, "-0.0"],
    [1e15, "1000000000000000.0"],
    [9999999999999998, "9999999999999998.0"],
    [1e16, "1e+16"],
    [-1e16, "-1e+16"],
    [123456789012345680, "1.2345678901234568e+17"],
    [1e22, "1e+22"],
    [1e100, "1e+100"],
    [0.0001, "0.0001"],
    [-0.00012, "-0.00012"],
    [0.00001234, "1.234e-05"],
    [1.5e-7, "1.5e-07"],
    [5e-324, "5e-324"],
    [Number.NaN, "nan"],
    [Number.NEGATIVE_INFINITY, "-inf"],
  ])("prints %d", (value, text) => {
    expect(floatRepr(value)).toBe(text);
  });

  it("rounds halves to even", () => {
    expect([0.5, 1.5, 2.5, -1.5, 2.4999, 85.5, 86.5, 7].map(roundHalfEven)).toEqual([0, 2, 2, -2, 2, 86, 86, 7]);
  });

  it("prints strings and dicts", () => {
    expect(stringRepr("plain")).toBe("'plain'");
    expect(stringRepr("it's")).toBe(`"it's"`);
    expect(stringRepr('say "x"')).toBe(`'say "x"'`);
    expect(stringRepr(`a'b"c`)).toBe(`'a\\'b"c'`);
    expect(stringRepr("tab\tnl\nbs\\")).toBe("'tab\\tnl\\nbs\\\\'");
    expect(stringRepr("\xa0é\u200b😀\x7f\x00\u3000\ufeff\ue000\u{e0001}")).toBe(
      "'\\xa0é\\u200b😀\\x7f\\x00\\u3000\\ufeff\\ue000\\U000e0001'",
    );
    const dict = new Map([
      ["size", "l"],
      ["7", "it's"],
    ]);
    expect(dictRepr(dict)).toBe(`{'size': 'l', '7': "it's"}`);
    expect(dictRepr(new Map())).toBe("{}");
  });

  it("writes JSON in ASCII, in order, and safely for HTML", () => {
    const dict = new Map([
      ["7", "a\x7f\x1f"],
      ["b", 'é😀 \u2028 "/\\'],
      ["a", "<&'>"],
    ]);
    expect(jsonDumps(dict)).toBe(String.raw`{"7": "a\u007f\u001f", "b": "\u00e9\ud83d\ude00 \u2028 \"/\\", "a": "<&'>"}`);
    expect(jsonForHtml(dict)).toBe(
      String.raw`{"7": "a\u007f\u001f", "a": "\u003c\u0026\u0027\u003e", "b": "\u00e9\ud83d\ude00 \u2028 \"/\\"}`,
    );
  });
});
