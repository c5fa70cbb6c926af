/**
 * The configuration's keys as a list, read out of the zod schema: dotted path, type, default, description. Knows no file and no
 * command line.
 */
import { z } from "zod";

export interface Key {
  /** `rollout.groupSize` */
  readonly path: string;
  /** True for a section, whose keys follow. */
  readonly section: boolean;
  /** In words: `integer >= 1`, `"a" or "b"`, `list of text`. */
  readonly type: string;
  /** undefined: the key must be given. Sections have none. */
  readonly default: unknown;
  readonly description: string;
}

/** Every key below an object schema, sections before what they hold, in the schema's own order. */
export function listKeys(schema: z.core.$ZodType, prefix = ""): Key[] {
  const object = unwrap(schema).inner;
  if (!(object instanceof z.ZodObject)) return [];
  return Object.entries(object.shape as Record<string, z.core.$ZodType>).flatMap(([name, field]) => {
    const path = prefix === "" ? name : `${prefix}.${name}`;
    const { inner, nullable, initial, description } = unwrap(field);
    const section = inner instanceof z.ZodObject;
    const key: Key = { path, section, type: describeType(inner, nullable), default: section ? undefined : initial, description };
    return section ? [key, ...listKeys(inner, path)] : [key];
  });
}

interface Unwrapped {
  readonly inner: z.core.$ZodType;
  readonly nullable: boolean;
  readonly initial: unknown;
  readonly description: string;
}

/** Takes default, optional and nullable off a schema. */
function unwrap(schema: z.core.$ZodType): Unwrapped {
  let inner = schema;
  let nullable = false;
  let initial: unknown;
  let description = "";
  for (;;) {
    description ||= z.globalRegistry.get(inner)?.description ?? "";
    if (inner instanceof z.ZodDefault || inner instanceof z.ZodPrefault) {
      initial ??= inner.def.defaultValue;
      if (inner.def.defaultValue === null) initial = null;
    } else if (inner instanceof z.ZodNullable) nullable = true;
    else if (!(inner instanceof z.ZodOptional)) return { inner, nullable, initial, description };
    inner = inner.def.innerType;
  }
}

function describeType(schema: z.core.$ZodType, nullable: boolean): string {
  const end = nullable ? " or null" : "";
  if (schema instanceof z.ZodEnum) return schema.options.map((option) => `"${option}"`).join(" or ") + end;
  if (schema instanceof z.ZodBoolean) return `true or false${end}`;
  if (schema instanceof z.ZodString) return `text${end}`;
  if (schema instanceof z.ZodArray) return `list of ${describeType(schema.def.element, false)}${end}`;
  if (schema instanceof z.ZodRecord || schema instanceof z.ZodObject) return `section${end}`;
  if (schema instanceof z.ZodNumber) return describeNumber(schema) + end;
  return `value${end}`;
}

function describeNumber(schema: z.ZodNumber): string {
  const kind = schema.isInt ? "integer" : "number";
  const limits: string[] = [];
  for (const check of schema.def.checks ?? []) {
    const { def } = check._zod;
    if (def.check === "greater_than") limits.push(`${"inclusive" in def && def.inclusive ? ">=" : ">"} ${"value" in def ? def.value : ""}`);
    if (def.check === "less_than") limits.push(`${"inclusive" in def && def.inclusive ? "<=" : "<"} ${"value" in def ? def.value : ""}`);
  }
  return limits.length === 0 ? kind : `${kind} ${limits.join(", ")}`;
}

/** The key that was most likely meant by a wrong one, or null when none is near. */
export function nearestKey(wrong: string, keys: readonly string[]): string | null {
  const tail = (path: string) => path.slice(path.lastIndexOf(".") + 1);
  let best: string | null = null;
  let least = Number.POSITIVE_INFINITY;
  for (const key of keys) {
    const whole = editDistance(wrong.toLowerCase(), key.toLowerCase());
    // The right name in the wrong section is as good as one slip.
    const name = editDistance(tail(wrong).toLowerCase(), tail(key).toLowerCase()) + 1;
    const distance = Math.min(whole, name);
    if (distance < least) {
      least = distance;
      best = key;
    }
  }
  return least <= Math.max(2, Math.floor(tail(wrong).length / 3)) ? best : null;
}

/** Levenshtein's distance: insertions, deletions and replacements, one each. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
