/**
 * Where an iteration's time goes: wall-clock seconds by part, and for how many of them JavaScript's main thread was at work (the rest
 * it waited for the engine's thread, mostly). Both go to timings.jsonl and nowhere else: they differ from run to run.
 */
import { performance } from "node:perf_hooks";

export class Clock {
  readonly seconds: Record<string, number> = {};
  /** Seconds in which the event loop was not waiting; what runs beside the engine counts, too. */
  readonly mainThread: Record<string, number> = {};
  readonly #start = performance.now();
  #last = this.#start;
  #active = performance.eventLoopUtilization().active;

  /** Ends a part. */
  lap(name: string): void {
    const now = performance.now();
    const { active } = performance.eventLoopUtilization();
    this.seconds[name] = (now - this.#last) / 1000;
    this.mainThread[name] = (active - this.#active) / 1000;
    this.#last = now;
    this.#active = active;
  }

  total(): number {
    return (performance.now() - this.#start) / 1000;
  }
}
