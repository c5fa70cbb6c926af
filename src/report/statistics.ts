/** Means over seeds with Student's 95% intervals. Knows no run and no file. */

export interface Interval {
  readonly n: number;
  readonly mean: number;
  /** Ends of the 95% interval; NaN when there is one value only. */
  readonly low: number;
  readonly high: number;
}

/** Two-sided 95% quantiles of Student's t for 1 to 30 degrees of freedom. */
const T95 = [
  12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131, 2.12, 2.11, 2.101, 2.093, 2.086,
  2.08, 2.074, 2.069, 2.064, 2.06, 2.056, 2.052, 2.048, 2.045, 2.042,
];

/** Beyond the table: the first terms of the expansion around the normal quantile (Abramowitz and Stegun 26.7.5), good to 1e-4 there. */
function t95(freedom: number): number {
  const z = 1.959964;
  return T95[freedom - 1] ?? z + (z ** 3 + z) / (4 * freedom) + (5 * z ** 5 + 16 * z ** 3 + 3 * z) / (96 * freedom ** 2);
}

/** Mean of independent values with its 95% interval. @param values at least one */
export function interval(values: readonly number[]): Interval {
  const n = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  if (n < 2) return { n, mean, low: Number.NaN, high: Number.NaN };
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1);
  const half = t95(n - 1) * Math.sqrt(variance / n);
  return { n, mean, low: mean - half, high: mean + half };
}

/** Mean of a[i] - b[i]: pairs share a seed, so what the seed does to both cancels. */
export function pairedDifference(a: readonly number[], b: readonly number[]): Interval {
  return interval(a.map((value, index) => value - b[index]!));
}
