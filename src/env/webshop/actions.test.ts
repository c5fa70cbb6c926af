import { expect, it } from "vitest";
import { parseAction } from "./actions.js";

it.each([
  ["search[red shoes]", "search", "red shoes"],
  ["search[Red SHOES]", "search", "red shoes"],
  ["search[ ]", "search", " "],
  ["click[< prev] and more", "click", "< prev"],
  ["search[foo]bar]", "search", "foo]bar"],
  ["search[foo [bar] baz]", "search[foo ", "bar] baz"],
  ["search[foo] and click[bar]", "search[foo] and click", "bar"],
  ["search[a]\nclick[b]", "search", "a"],
  ["search[a\u2028b\rc]", "search", "a\u2028b\rc"],
  ["Search[a]", "Search", "a"],
  [" search[a]", " search", "a"],
  ["a[[]", "a", "["],
  ["a[b]]", "a", "b]"],
  ["search[ÄÖÜ]", "search", "äöü"],
])("reads %j", (text, name, argument) => {
  expect(parseAction(text)).toEqual({ name, argument });
});

it.each(["", "search", "search[]", "search[a", "search a]", "[a]", "search[a\nb]", "\nsearch[a]", "a]b[c", "]][["])(
  "finds no action in %j",
  (text) => {
    expect(parseAction(text)).toBeUndefined();
  },
);

it("agrees with the regular expression that it stands for", () => {
  const letters = ["[", "]", "a", "\n", "B"];
  const texts = Array.from({ length: 5 ** 6 }, (_, n) => Array.from({ length: 6 }, (_, i) => letters[Math.floor(n / 5 ** i) % 5]).join(""));
  const wrong = texts.filter((text) => {
    const match = /^([^\n]+)\[([^\n]+)\]/.exec(text);
    const parsed = parseAction(text);
    return parsed?.name !== match?.[1] || parsed?.argument !== match?.[2]?.toLowerCase();
  });
  expect(wrong).toEqual([]);
});

it("takes time that grows with the text, not with its square", () => {
  const begun = performance.now();
  expect(parseAction(`search${"[".repeat(2_000_000)}`)).toBeUndefined();
  expect(performance.now() - begun).toBeLessThan(1000);
});
