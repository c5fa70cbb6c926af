/**
 * Display names of entities. Ids are sorted in code-unit order and numbered per class from the highest number down, so the
 * first id of a class gets its highest number. The class is the text before the first `_bar_`, with `basin` appended when the
 * id contains it (`sink_bar_..._bar_sinkbasin` is a `sinkbasin`).
 */

const SEPARATOR = "_bar_";

/** Class of an id, or null when it has none (`agent1`, `appletype`). */
export function className(id: string): string | null {
  const end = id.indexOf(SEPARATOR);
  if (end < 0) return null;
  return id.includes("basin") ? `${id.slice(0, end)}basin` : id.slice(0, end);
}

/** Name of an entity without class or number: the id and one blank, as the original engine prints it. */
export function unnumberedName(id: string): string {
  return `${id} `;
}

/** @param sortedIds entity ids in ascending code-unit order. @returns their names, in the same order. */
export function displayNames(sortedIds: readonly string[]): string[] {
  const classes = sortedIds.map(className);
  const left = new Map<string, number>();
  for (const name of classes) if (name !== null) left.set(name, (left.get(name) ?? 0) + 1);
  return sortedIds.map((id, i) => {
    const name = classes[i];
    if (name === null || name === undefined) return unnumberedName(id);
    const number = left.get(name)!;
    left.set(name, number - 1);
    return `${name} ${number}`;
  });
}
