import { expect, it } from "vitest";
import { offers } from "./environment.js";

it("offers what is listed, and forms that are filled in", () => {
  const page = ["search[<your query>]", "click[< prev]", "click[next >]"];
  expect(offers(page, "click[< prev]")).toBe(true);
  expect(offers(page, "search[red shoes]")).toBe(true);
  expect(offers(page, "search[a] b]")).toBe(true);
  for (const action of ["search[]", "search[red", "find[red]", "click[red]", "click[<  prev]", ""])
    expect(offers(page, action)).toBe(false);
  expect(offers(["look"], "look")).toBe(true);
  expect(offers([], "look")).toBe(false);
});
