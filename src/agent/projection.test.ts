import { describe, expect, it } from "vitest";
import { FALLBACK_CHARACTERS, projectAction } from "./projection.js";

describe("projectAction", () => {
  it.each([
    ["<think>x</think><action>Go To Fridge 1</action>", "go to fridge 1", true],
    ["<action>open fridge 1</action>", "open fridge 1", false],
    ["<think>x</think> go to fridge 1", "think>x</think> go to fridge 1", false],
    ["<think>x</think><action>look</action><action>inventory</action>", "look", true],
    ["<think>\u4e00</think><action>look</action>", "look", false],
    ["<think>\u9fff</think><action>look</action>", "look", false],
    ["<think>\ua000</think><action>look</action>", "look", true],
    ["<THINK>x</THINK><ACTION>look</ACTION>", "look", false],
    ["<think>x</think></action><action>look", "", true],
    ["<think>x</think><action></action>", "", true],
    ["<think>x</think><action>fly to moon</action>", "fly to moon", true],
    ["<think>x</think><action>\n look \n</action>", "look", true],
    ["<think>x<action>look</action>", "look", false],
    ["", "", false],
  ])("reads %j", (reply, action, valid) => {
    expect(projectAction(reply)).toMatchObject({ action, valid });
  });

  it("keeps 20 characters for WebShop", () => {
    const reply = "<think>x</think> I will search for red shoes";
    expect(projectAction(reply, FALLBACK_CHARACTERS.webshop)).toEqual({ action: "search for red shoes", valid: false, span: null });
  });

  it("counts the fallback in characters, not in code units", () => {
    const reply = "\u{1f600}".repeat(40);
    expect(projectAction(reply).action).toBe("\u{1f600}".repeat(30));
  });

  it("gives the character span of the text between the tags", () => {
    const reply = "\u{1f600}<think>I\u0307</think><Action> Look </action>";
    const { span } = projectAction(reply);
    expect(span).not.toBeNull();
    expect(reply.slice(...(span as [number, number]))).toBe(" Look ");
  });

  it("has no span when there is no such text", () => {
    expect(projectAction("<think></think><action></action>").span).toBeNull();
    expect(projectAction("</action><action>look").span).toBeNull();
    expect(projectAction("look").span).toBeNull();
  });
});
