/**
 * Pages as an agent reads them: `text`, all parts in a row, and `text_rich`, one part a line with its buttons marked. Built from the nodes
 * of a page, never from markup. Knows no session.
 */
import { type PageNode, visible } from "./page.js";
import { strip } from "./python/text.js";

export const OBSERVATION_MODES = ["text", "text_rich", "html", "url"] as const;
export type ObservationMode = (typeof OBSERVATION_MODES)[number];

export const SEPARATOR = " [SEP] ";

/** Mode `text`. Chosen options cannot be seen in it. */
export function plainText(nodes: readonly PageNode[]): string {
  const parts: string[] = [];
  for (const node of nodes) {
    const shown = visible(node);
    if (shown !== undefined) parts.push(isBare(shown) ? shown : strip(shown));
  }
  return parts.join(SEPARATOR);
}

/** Nothing to strip, told by its two ends: most texts. */
function isBare(text: string): boolean {
  const [first, last] = [text.charCodeAt(0), text.charCodeAt(text.length - 1)];
  return first > 0x20 && first < 0x7f && last > 0x20 && last < 0x7f;
}

/**
 * Mode `text_rich`. An option counts as chosen when its value stands in double quotes anywhere in the address of the page, so values that
 * JSON has to escape never do, and words of the search in quotes may.
 * @param opened ASINs, upper case, that were opened since the session last began to search
 */
export function richText(nodes: readonly PageNode[], url: string, opened: ReadonlySet<string>): string {
  let head = "";
  let body = "";
  for (const node of nodes) {
    const shown = visible(node);
    if (shown === undefined) continue;
    if (node.kind === "button") body += mark("", false, shown);
    else if (node.kind === "link") body += mark("\n", opened.has(shown), shown);
    else if (node.kind === "option") {
      const chosen = url.includes(`"${shown}"`);
      body += mark("  ", chosen, shown);
      if (chosen) head = `You have clicked ${shown}.\n${head}`;
    } else body += `${shown}\n`;
  }
  return head + body;
}

function mark(indent: string, clicked: boolean, text: string): string {
  return clicked ? `${indent}[clicked button] ${text} [clicked button_]\n` : `${indent}[button] ${text} [button_]\n`;
}

/**
 * A page in mode `text` without what comes up to the task: the parts after it, each in single quotes. A page that does not show the task
 * (the last one) is left as it is. Steps of a task with equal pages are in the same state for GiGPO.
 */
export function pageWithoutTask(observation: string, task: string): string {
  const mark = SEPARATOR + task + SEPARATOR;
  const place = observation.indexOf(mark);
  // A task with a separator in it is no part of any page.
  if (place < 0 || task.includes(SEPARATOR)) return observation;
  return `'${observation.slice(place + mark.length).replaceAll(SEPARATOR, `'${SEPARATOR}'`)}'`;
}
