/** Learning curves as an SVG file's text: mean over seeds with a 95% band, one colour per method. Drawing is echarts, without a browser. */
import * as echarts from "echarts";
import type { Comparison, MethodResult } from "./markdown.js";
import { NAMES } from "./markdown.js";
import type { Point, RunResult } from "./results.js";
import { type Interval, interval } from "./statistics.js";

const COLOURS = ["#7f7f7f", "#1f77b4", "#d62728", "#2ca02c", "#9467bd"];

export function learningCurves(comparison: Comparison): string {
  const series = comparison.methods.flatMap((result, index) => curves(result, COLOURS[index % COLOURS.length]!));
  const chart = echarts.init(null, null, { renderer: "svg", ssr: true, width: 860, height: 480 });
  chart.setOption({
    animation: false,
    backgroundColor: "#fff",
    title: { text: `${comparison.environment}: success without skills in the prompt`, left: "center", textStyle: { fontSize: 15 } },
    legend: { top: 30, data: series.filter(({ name }) => name !== "").map(({ name }) => name) },
    grid: { left: 60, right: 30, top: 70, bottom: 50 },
    xAxis: { type: "value", name: "iteration", nameLocation: "middle", nameGap: 28, min: 0, max: comparison.iterations },
    yAxis: { type: "value", name: `success on ${comparison.split}, %`, nameLocation: "middle", nameGap: 40, min: 0, max: 100 },
    series,
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}

type Series = { readonly name: string; readonly type: "line" | "custom"; readonly data: number[][]; readonly [key: string]: unknown };

/** A line for the mean, a band for its interval, and a dashed line for the diagnostic. */
function curves({ method, runs }: MethodResult, colour: string): Series[] {
  const name = NAMES[method] ?? method;
  const mean = overSeeds(runs, ({ plain }) => plain);
  const shown: Series[] = [line(name, mean, { lineStyle: { color: colour, width: 2.5 }, itemStyle: { color: colour }, symbolSize: 5 })];
  if (runs.length > 1) shown.push(band(mean, colour));
  const skills = overSeeds(runs, ({ withSkills }) => withSkills);
  if (skills.length > 0) {
    const dashed = { lineStyle: { color: colour, width: 1.5, type: "dashed" }, itemStyle: { color: colour }, symbol: "none" };
    shown.push(line(`${name} with skills (diagnostic)`, skills, dashed));
  }
  return shown;
}

/** The space between both ends of the intervals, cut off at 0 and 100%. */
function band(points: readonly SeedPoint[], colour: string): Series {
  const bound = (value: number) => Math.min(100, Math.max(0, 100 * value));
  const upper = points.map(({ iteration, value }) => [iteration, bound(value.high)]);
  const lower = points.map(({ iteration, value }) => [iteration, bound(value.low)]).reverse();
  const outline = [...upper, ...lower];
  return {
    name: "",
    type: "custom",
    data: [[0, 0]], // one item: the polygon
    silent: true,
    clip: true,
    renderItem: (_: unknown, api: { coord(point: number[]): number[] }) => ({
      type: "polygon",
      shape: { points: outline.map((point) => api.coord(point)) },
      style: { fill: colour, opacity: 0.15 },
    }),
  };
}

function line(name: string, points: readonly SeedPoint[], style: object): Series {
  return { name, type: "line", data: points.map(({ iteration, value }) => [iteration, 100 * value.mean]), symbol: "circle", ...style };
}

interface SeedPoint {
  readonly iteration: number;
  readonly value: Interval;
}

/** Points at iterations that every run has: phases may begin, and skills appear, at different times. */
function overSeeds(runs: readonly RunResult[], of: (run: RunResult) => readonly Point[]): SeedPoint[] {
  const values = new Map<number, number[]>();
  for (const run of runs) for (const { iteration, success } of of(run)) values.set(iteration, [...(values.get(iteration) ?? []), success]);
  return [...values]
    .filter(([, list]) => list.length === runs.length)
    .sort(([a], [b]) => a - b)
    .map(([iteration, list]) => ({ iteration, value: interval(list) }));
}
