/**
 * Action projection: reads the action out of a reply, by the public verl-agent rule (spec 2.6). It checks the form of the
 * reply only. Whether the action is admissible is the environment's business, so an impossible command is still valid here.
 *
 * 1. action = trimmed lower-case text between the first `<action>` and the first `</action>`, tags in any case;
 *    a tag is missing: the last `fallbackCharacters` characters of the reply, invalid.
 * 2. invalid when `<think>` or `</think>` is missing (case-sensitive) or a CJK ideograph (U+4E00 to U+9FFF) occurs.
 */
import type { ParsedAction } from "./agent.js";

/** Characters sent when a reply has no action tags: 30 in ALFWorld, 20 in WebShop. */
export const FALLBACK_CHARACTERS = { alfworld: 30, webshop: 20 } as const;

const CJK = /[\u4e00-\u9fff]/;

export function projectAction(reply: string, fallbackCharacters: number = FALLBACK_CHARACTERS.alfworld): ParsedAction {
  const open = reply.search(/<action>/i);
  const close = reply.search(/<\/action>/i);
  if (open < 0 || close < 0) {
    return { action: lastCharacters(reply.toLowerCase(), fallbackCharacters), valid: false, span: null };
  }
  const start = open + "<action>".length;
  const end = Math.max(start, close);
  const valid = reply.includes("<think>") && reply.includes("</think>") && !CJK.test(reply);
  return { action: reply.slice(start, end).toLowerCase().trim(), valid, span: end > start ? [start, end] : null };
}

/** The last `count` code points. */
function lastCharacters(text: string, count: number): string {
  return [...text.slice(-2 * count)].slice(-count).join("");
}
