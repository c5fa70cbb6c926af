/**
 * Reads the source of a page without any knowledge of how it was made, for tests: the runs of text as a browser's document has them, and
 * what can be clicked. Knows just enough HTML: tags, attributes in double quotes, comments, entities.
 */

const UNSEEN = new Set(["head", "title", "meta", "style", "script"]);
/** Elements without an end tag. */
const VOID = new Set(["br", "img", "input", "link", "meta", "!doctype"]);

export interface TextRun {
  readonly text: string;
  /** Innermost element, and its class. */
  readonly tag: string;
  readonly classes: readonly string[];
}

export interface Reading {
  readonly runs: readonly TextRun[];
  readonly clickables: readonly string[];
}

function unescapeEntities(text: string): string {
  const named: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">" };
  return text.replace(/&(#\d+|[a-z]+);/g, (_, name: string) =>
    name.startsWith("#") ? String.fromCodePoint(Number(name.slice(1))) : named[name]!,
  );
}

function attributesOf(tag: string): ReadonlyMap<string, string> {
  return new Map([...tag.matchAll(/([a-z_-]+)="([^"]*)"/g)].map(([, name, value]) => [name!, unescapeEntities(value!)]));
}

export function readHtml(source: string): Reading {
  const open: { readonly tag: string; readonly classes: readonly string[] }[] = [];
  const runs: TextRun[] = [];
  const [buttons, links, radios]: [string[], string[], string[]] = [[], [], []];
  const token = /<!--[\s\S]*?-->|<script[^>]*>[\s\S]*?<\/script>|<(\/?)([!a-zA-Z0-9]+)((?:[^>"]|"[^"]*")*)>|[^<]+/g;
  for (const [whole, end, name, rest] of source.matchAll(token)) {
    if (whole.startsWith("<!--") || whole.startsWith("<script")) continue;
    if (name === undefined) {
      if (open.some(({ tag }) => UNSEEN.has(tag))) continue;
      const text = unescapeEntities(whole);
      const shown = /^[ \t\n\f\r]*$/.test(text) ? (text.includes("\n") ? "\n" : " ") : text;
      const { tag = "", classes = [] } = open.at(-1) ?? {};
      if (shown !== "\n") runs.push({ text: shown, tag, classes });
      if (classes.includes("btn")) buttons.push(text.toLowerCase());
      if (classes.includes("product-link")) links.push(text.toLowerCase());
    } else if (end === "/") {
      const at = open.findLastIndex(({ tag }) => tag === name || (/^h\d$/.test(tag) && /^h\d$/.test(name)));
      if (at < 0) throw new Error(`nothing to close with </${name}>`);
      open.length = at;
    } else {
      const attributes = attributesOf(rest!);
      if (name === "input" && attributes.get("type") === "radio") radios.push(attributes.get("value")!);
      if (!VOID.has(name.toLowerCase()) && !rest!.endsWith("/"))
        open.push({ tag: name, classes: (attributes.get("class") ?? "").split(" ") });
    }
  }
  if (open.length > 0) throw new Error(`still open: ${open.map(({ tag }) => tag).join(" ")}`);
  return { runs, clickables: [...new Set([...buttons, ...links, ...radios])] };
}
