/** Argument checks of the kernels: each error names the argument, its value, the limit and the fix. */
import { SiriError } from "../errors.js";

export class SiriArgument extends SiriError {
  constructor(message: string) {
    super("SIRI_ARGUMENT", message);
  }
}

function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "number" || typeof value === "boolean" || value === null || value === undefined) return String(value);
  return ArrayBuffer.isView(value) ? value.constructor.name : Array.isArray(value) ? "an array" : typeof value;
}

/** An input of named arrays and settings, or a part of one. */
export function object(name: string, value: unknown): void {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new SiriArgument(`${name} is ${shown(value)}; it must be an object with the documented fields.`);
}

export function array(name: string, value: unknown, what: string): void {
  if (!Array.isArray(value)) throw new SiriArgument(`${name} is ${shown(value)}; it must be an array of ${what}.`);
}

/** Refuses NaN (or, where `finite`, infinity as well) in every entry that counts: one of them would make the whole loss and gradient NaN. */
export function defined(name: string, values: Float32Array, counts: Float32Array | undefined, finite = false): Float32Array {
  const wrong = values.findIndex((x, i) => (finite ? !Number.isFinite(x) : Number.isNaN(x)) && counts?.[i] !== 0);
  if (wrong >= 0)
    throw new SiriArgument(
      `${name}[${wrong}] is ${values[wrong]}; it must be a ${finite ? "finite " : ""}number. Correct it, or leave the entry out by 0 in the mask or gate.`,
    );
  return values;
}

/** Most elements of an array that native code addresses by 32-bit row numbers and JavaScript by length. */
const LONGEST = 2 ** 32;

export function integerIn(name: string, value: unknown, least: number, most: number): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < least || value > most)
    throw new SiriArgument(`${name} is ${shown(value)}; it must be a whole number from ${least} to ${most}.`);
  return value;
}

export function finiteNumber(name: string, value: unknown, holds: (x: number) => boolean, rule: string): number {
  if (typeof value !== "number" || !Number.isFinite(value) || !holds(value))
    throw new SiriArgument(`${name} is ${shown(value)}; it must be ${rule}.`);
  return value;
}

export function oneOf<T extends string>(name: string, value: unknown, choices: readonly T[]): T {
  if (!choices.includes(value as T))
    throw new SiriArgument(`${name} is ${shown(value)}; it must be one of ${choices.map((c) => `"${c}"`).join(", ")}.`);
  return value as T;
}

/** A Float32Array of exactly `length` numbers; `shape` says in words where the length comes from, as in "rows x width". */
export function floats(name: string, value: unknown, length: number, shape: string): Float32Array {
  if (!(value instanceof Float32Array)) throw new SiriArgument(`${name} is ${shown(value)}; it must be a Float32Array of ${shape}.`);
  if (length > LONGEST) throw new SiriArgument(`${name} would hold ${length} numbers (${shape}); at most ${LONGEST} fit: give fewer rows.`);
  if (value.length !== length)
    throw new SiriArgument(`${name} holds ${value.length} numbers; ${shape} makes ${length}. Check the sizes given with it.`);
  return value;
}

export function integers(name: string, value: unknown, length: number, shape: string): Int32Array {
  if (!(value instanceof Int32Array)) throw new SiriArgument(`${name} is ${shown(value)}; it must be an Int32Array of ${shape}.`);
  if (value.length !== length) throw new SiriArgument(`${name} holds ${value.length} numbers; ${shape} makes ${length}.`);
  return value;
}

/** Every target must be a token of the vocabulary: native code indexes by it. */
export function tokens(name: string, value: unknown, vocab: number): Int32Array {
  if (!(value instanceof Int32Array))
    throw new SiriArgument(`${name} is ${shown(value)}; it must be an Int32Array with one token per row.`);
  for (let i = 0; i < value.length; i++) {
    const token = value[i]!;
    if (token < 0 || token >= vocab)
      throw new SiriArgument(`${name}[${i}] is ${token}; a token is from 0 to ${vocab - 1} (vocab is ${vocab}).`);
  }
  return value;
}
