import { describe, expect, it } from "vitest";
import { Rng } from "../../env/household/rng.js";
import { type DisguiseOptions, disguise } from "./disguise.js";

const options: DisguiseOptions = {
  words: ["amber", "birch", "cedar", "delta", "ember", "flint"],
  numbers: Array.from({ length: 60 }, (_, i) => `b00000${1000 + i}y`),
  kept: new Set(["click", "color"]),
};
const rename = (share: number, seed = 1) => disguise(options, share, new Rng(seed));

describe("disguise", () => {
  it("gives a word one name everywhere, and two words two", () => {
    const text = rename(1);
    const [first, again, other] = text("Blouse blouse shirt").split(" ");
    expect(first!.toLowerCase()).toBe(again);
    expect(first![0]).toBe(first![0]!.toUpperCase());
    expect(options.words).toContain(again);
    expect(options.words).toContain(other);
    expect(other).not.toBe(again);
    expect(text("no blouse")).toMatch(new RegExp(` ${again}$`));
  });

  it("leaves kept words, digits, signs and single letters", () => {
    expect(rename(1)("color: a2-gray click[x]")).toMatch(/^color: a2-(amber|birch|cedar|delta|ember|flint) click\[x\]$/);
  });

  it("renames product numbers whatever the share, to those of other products", () => {
    const text = rename(0);
    const [, number] = /^shirt click\[(.*)\]$/.exec(text("shirt click[b09qgk5xhz]"))!;
    expect(options.numbers).toContain(number);
    expect(text("b09qgk5xhz seen")).toBe(`${number} seen`);
  });

  it("is the same for the same seed, and another for another", () => {
    const said = (seed: number) => rename(1, seed)("wool shirt with b09qgk5xhz");
    expect(said(3)).toBe(said(3));
    expect(new Set(Array.from({ length: 20 }, (_, seed) => said(seed))).size).toBe(20);
  });

  it("renames about as many words as it should", () => {
    const renamed = Array.from({ length: 400 }, (_, seed) => rename(0.3, seed)("shirt") !== "shirt").filter(Boolean).length / 400;
    expect(renamed).toBeGreaterThan(0.22);
    expect(renamed).toBeLessThan(0.38);
  });

  it("lets words keep their names where there are too few", () => {
    const text = rename(1)("one two three four five six seven eight");
    expect(new Set(text.split(" ")).size).toBe(8);
  });
});
