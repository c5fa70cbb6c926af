/** Numbers and durations as people read them, and what is known of an iteration as one line. Knows no terminal. */
import type { IterationSummary } from "../../run/progress.js";

/** Seconds as `48 s`, `12 min`, `3.4 h`. */
export function duration(seconds: number): string {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

/** A share in [0, 1] as `41%`. */
export function percent(share: number): string {
  return `${Math.round(100 * share)}%`;
}

/** `3.2e-4`, `0.013`, `12.4`: three digits that matter. */
export function short(value: number): string {
  if (value === 0) return "0";
  const size = Math.abs(value);
  return size < 0.001 || size >= 1e5 ? value.toExponential(1) : String(Number(value.toPrecision(3)));
}

/** What there is of a summary, in a fixed order, as `name value` pairs. */
export function summaryParts(summary: IterationSummary): string[] {
  const part = (name: string, value: number | undefined, show: (value: number) => string) =>
    value === undefined ? [] : [`${name} ${show(value)}`];
  return [
    ...part("success", summary.success, percent),
    ...part("reward", summary.reward, short),
    ...part("kl", summary.kl, short),
    ...part("clipped", summary.clipFraction, short),
    ...part("entropy", summary.entropy, short),
    ...part("flat groups", summary.zeroVarianceGroups, percent),
    ...part("skills", summary.skills, String),
    ...part("tokens/s", summary.tokensPerSecond, (value) => String(Math.round(value))),
  ];
}

/** `clean 30%  cool 12%`, types in alphabetical order. */
export function byType(rates: Readonly<Record<string, number>>): string {
  return Object.entries(rates)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([type, rate]) => `${type} ${percent(rate)}`)
    .join("  ");
}

/** Guesses the time left from the mean of the last iterations. */
export class TimeLeft {
  readonly #recent: number[] = [];

  add(seconds: number): void {
    this.#recent.push(seconds);
    if (this.#recent.length > 10) this.#recent.shift();
  }

  /** Seconds for so many iterations more, or null before the first one is done. */
  guess(iterations: number): number | null {
    if (this.#recent.length === 0) return null;
    return (iterations * this.#recent.reduce((sum, seconds) => sum + seconds, 0)) / this.#recent.length;
  }
}
