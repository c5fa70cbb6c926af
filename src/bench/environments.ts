/** Steps per second of an environment alone: episodes of offered actions chosen at random. */
import type { EnvironmentModule } from "../env/environment.js";
import { loadEnvironment } from "../env/registry.js";
import { type Measurement, peakMiB } from "./report.js";

const STEPS = 20;

/** A fresh generator each time: every repetition plays the same games. */
function chooser(): (below: number) => number {
  let state = 1;
  return (below) => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return Math.floor((state / 0x80000000) * below);
  };
}

async function play(module: EnvironmentModule, episodes: number): Promise<{ steps: number; seconds: number }> {
  const tasks = await module.tasks("train");
  const environment = await module.create();
  const random = chooser();
  let steps = 0;
  const start = performance.now();
  for (let i = 0; i < episodes; i++) {
    let seen: { readonly actions?: readonly string[]; readonly done?: boolean } = await environment.reset(tasks.at(i % tasks.length));
    for (let step = 0; step < STEPS && !seen.done && seen.actions?.length; step++, steps++)
      seen = await environment.step(seen.actions[random(seen.actions.length)]!);
  }
  const seconds = (performance.now() - start) / 1000;
  environment.close?.();
  return { steps, seconds };
}

export async function benchEnvironments(options: { episodes: number; repetitions: number }): Promise<Measurement[]> {
  const found: Measurement[] = [];
  // ALFWorld where its games are.
  for (const name of ["household", ...(process.env.ALFWORLD_DATA ? ["alfworld"] : [])]) {
    const module = await loadEnvironment({ name });
    const values: number[] = [];
    for (let i = 0; i <= options.repetitions; i++) {
      const { steps, seconds } = await play(module, options.episodes);
      if (i > 0) values.push(steps / seconds);
    }
    found.push({ name: `environment/${name}`, unit: "steps/s", better: "more", values, memoryMiB: peakMiB() });
  }
  return found;
}
