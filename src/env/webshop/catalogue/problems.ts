/** What was wrong with the data and was gone around. */

export interface Problem {
  /** File name without its folder. */
  readonly file: string;
  /** Place among the records of the file, from 0. */
  readonly record: number;
  readonly asin?: string;
  readonly what: string;
}

/** Problems that are kept in words; the others are counted. */
const KEPT = 20;

export class Problems {
  count = 0;
  readonly first: Problem[] = [];

  constructor(private readonly onProblem?: (problem: Problem) => void) {}

  /** Problems that an earlier reading of the same data has met. */
  repeat({ count, first }: { readonly count: number; readonly first: readonly Problem[] }): void {
    for (const problem of first) this.add(problem);
    this.count += count - first.length;
  }

  add(problem: Problem): void {
    this.count++;
    if (this.first.length < KEPT) this.first.push(problem);
    this.onProblem?.(problem);
  }
}

/** One line: `items_shuffle.json, record 17 (B000000000): ...`. */
export function describeProblem({ file, record, asin, what }: Problem): string {
  return `${file}, record ${record}${asin === undefined ? "" : ` (${asin})`}: ${what}`;
}
