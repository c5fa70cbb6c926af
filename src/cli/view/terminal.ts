/**
 * The view of a run on a terminal: a few lines at the bottom that are redrawn (iterations, what goes on inside the present one, the last
 * iteration's numbers), and above them what is worth keeping. Drawing itself is cli-progress.
 */
import { MultiBar, Presets, type SingleBar } from "cli-progress";
import type { ProgressEvent } from "../../run/progress.js";
import { byType, duration, summaryParts, TimeLeft } from "./format.js";
import { eventLine } from "./lines.js";

export class TerminalView {
  readonly #bars: MultiBar;
  readonly #stream: NodeJS.WriteStream;
  readonly #left = new TimeLeft();
  /** Between the first event of a training and the last one. */
  #drawing = false;
  #iterations: SingleBar | null = null;
  #activity: SingleBar | null = null;
  #numbers: SingleBar | null = null;
  #types: SingleBar | null = null;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
    this.#bars = new MultiBar(
      { stream, hideCursor: true, clearOnComplete: true, gracefulExit: false, fps: 8, autopadding: true, linewrap: false },
      Presets.shades_classic,
    );
  }

  readonly report = (event: ProgressEvent): void => {
    switch (event.kind) {
      case "start":
        this.#begin(event.iterations, event.from, event.phase);
        this.#keep(event);
        return;
      case "phase":
        this.#iterations?.update({ phase: event.phase });
        this.#keep(event);
        return;
      case "activity":
        this.#activity?.setTotal(event.total);
        this.#activity?.update(event.done, { doing: event.doing });
        return;
      case "iteration": {
        this.#left.add(event.seconds);
        const remaining = this.#left.guess(event.iterations - event.iteration);
        this.#iterations?.setTotal(event.iterations);
        this.#iterations?.update(event.iteration, { phase: event.phase, left: remaining === null ? "" : `left ${duration(remaining)}` });
        this.#numbers?.update(0, { text: summaryParts(event.summary).join("  ") });
        this.#types?.update(0, { text: byType(event.summary.successByType ?? {}) });
        return;
      }
      case "note":
      case "evaluation":
        this.#keep(event);
        return;
      case "checkpoint":
        return;
      case "end":
        this.close();
    }
  };

  /** Takes the moving lines away and gives the cursor back; what is reported from then on is written below. Safe to call twice. */
  close(): void {
    if (!this.#drawing) return;
    this.#drawing = false;
    this.#bars.update(); // writes what is still waiting to be kept
    this.#bars.stop();
  }

  #begin(iterations: number, from: number, phase: string): void {
    this.#drawing = true;
    const text = (format: string, total = 1, value = 0, payload: object = {}) => this.#bars.create(total, value, payload, { format });
    this.#iterations = text("{bar} iteration {value}/{total}  {phase}  {left}", iterations, from, { phase, left: "" });
    this.#activity = text("{bar} {doing} {value}/{total}", 1, 0, { doing: "starting" });
    this.#numbers = text("{text}", 1, 0, { text: "" });
    this.#types = text("{text}", 1, 0, { text: "" });
  }

  #keep(event: ProgressEvent): void {
    const line = eventLine(event, this.#left);
    if (line === null) return;
    if (this.#drawing) this.#bars.log(`${line}\n`);
    else this.#stream.write(`${line}\n`);
  }
}
