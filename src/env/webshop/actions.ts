/** WebShop's action grammar: `search[words]` and `click[thing]`. Knows no page: whether an action can be done is the session's business. */

export interface ShopAction {
  /** As it was written: `search` and `click` are known in lower case only. */
  readonly name: string;
  /** Lower case, never empty, otherwise as it was written. */
  readonly argument: string;
}

/** The form that stands for every search in a list of actions. */
export const SEARCH_FORM = "search[<your query>]";

/**
 * Reads `name[argument]`. The name is as long as it can be, so it may hold brackets; what follows the last "]" of the line does not count.
 * @returns undefined for a text without this form, where name and argument have at least one character and no line feed
 */
export function parseAction(text: string): ShopAction | undefined {
  const lineFeed = text.indexOf("\n");
  const line = lineFeed < 0 ? text : text.slice(0, lineFeed);
  const close = line.lastIndexOf("]");
  if (close < 3) return undefined;
  const open = line.lastIndexOf("[", close - 2);
  return open < 1 ? undefined : { name: line.slice(0, open), argument: line.slice(open + 1, close).toLowerCase() };
}
