/**
 * What every benchmark yields, and the statistics on it. A measurement holds all its repetitions; where there is a peer or a yardstick the
 * two were measured in turns, and `ratios` pairs them: the machine's mood falls out of a ratio, not out of a time.
 */

export interface Measurement {
  /** Unique over all benchmarks: "gemm/forward 2048x256x1024 bfloat16". */
  readonly name: string;
  readonly unit: "s" | "GFLOP/s" | "GB/s" | "tokens/s" | "steps/s" | "ms" | "us";
  readonly better: "more" | "less";
  readonly values: readonly number[];
  /** The peer's value in the same unit. */
  readonly peer?: readonly number[];
  /** How many times as fast as the peer (or the yardstick), repetition by repetition. */
  readonly ratios?: readonly number[];
  /** What the median of the ratios, or of the values where there are none, must reach. */
  readonly target?: number;
  /** Peak resident memory of this process so far, MiB. */
  readonly memoryMiB: number;
}

export function quantile(values: readonly number[], q: number): number {
  if (values.length === 0) return Number.NaN;
  const sorted = [...values].sort((a, b) => a - b);
  const at = (sorted.length - 1) * q;
  const low = sorted[Math.floor(at)]!;
  return low + (sorted[Math.ceil(at)]! - low) * (at - Math.floor(at));
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);

/** Half the distance between the quartiles, as a share of the median. */
export const spread = (values: readonly number[]): number =>
  (quantile(values, 0.75) - quantile(values, 0.25)) / 2 / Math.abs(median(values));

export const peakMiB = (): number => Math.round(process.resourceUsage().maxRSS / 1024);

/** How many times as fast, from two lists of equal length: of values where more is better, or of times. */
export function ratiosOf(ours: readonly number[], theirs: readonly number[], better: "more" | "less"): number[] {
  return ours.map((value, i) => (better === "more" ? value / theirs[i]! : theirs[i]! / value));
}

/** Did it reach its target? undefined without one. */
export function reached(m: Measurement): boolean | undefined {
  if (m.target === undefined) return undefined;
  if (m.ratios) return median(m.ratios) >= m.target;
  return m.better === "more" ? median(m.values) >= m.target : median(m.values) <= m.target;
}

export function digits(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 0.1 ? 3 : 5);
}

const HEADERS = ["benchmark", "median", "unit", "spread", "peer", "ratio", "spread", "target"] as const;

function cells(m: Measurement): string[] {
  const percent = (values: readonly number[]) => `${(100 * spread(values)).toFixed(1)}%`;
  const verdict = reached(m);
  return [
    m.name,
    digits(median(m.values)),
    m.unit,
    percent(m.values),
    m.peer ? digits(median(m.peer)) : "",
    m.ratios ? median(m.ratios).toFixed(2) : "",
    m.ratios ? percent(m.ratios) : "",
    m.target === undefined ? "" : `${m.ratios ? ">= " : m.better === "more" ? ">= " : "<= "}${m.target} ${verdict ? "reached" : "missed"}`,
  ];
}

export function textTable(measurements: readonly Measurement[]): string {
  const rows = [HEADERS as readonly string[], ...measurements.map(cells)];
  const widths = HEADERS.map((_, c) => Math.max(...rows.map((row) => row[c]!.length)));
  return rows.map((row) => row.map((cell, c) => (c === 0 ? cell.padEnd(widths[c]!) : cell.padStart(widths[c]!))).join("  ")).join("\n");
}

export function markdownTable(measurements: readonly Measurement[]): string {
  const rows = measurements.map((m) => `| ${cells(m).join(" | ")} |`);
  return [`| ${HEADERS.join(" | ")} |`, `|---${"|---:".repeat(HEADERS.length - 1)}|`, ...rows].join("\n");
}
