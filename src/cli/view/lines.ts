/** The view of a run where there is no terminal to draw on: one line per iteration, one per evaluation, nothing that moves. */
import type { ProgressEvent, Report } from "../../run/progress.js";
import { byType, duration, percent, summaryParts, TimeLeft } from "./format.js";

/** @param write takes one line without its end */
export function lineView(write: (line: string) => void): Report {
  const left = new TimeLeft();
  return (event) => {
    const line = eventLine(event, left);
    if (line !== null) write(line);
  };
}

/** An event as one line of lasting text; null for those that only move a display. */
export function eventLine(event: ProgressEvent, left: TimeLeft): string | null {
  switch (event.kind) {
    case "start":
      return event.from === 0
        ? `${event.iterations} iterations, beginning with ${event.phase}`
        : `going on after iteration ${event.from} of ${event.iterations}, in ${event.phase}`;
    case "note":
      return event.level === "warning" ? `warning: ${event.text}` : event.text;
    case "phase":
      return `phase: ${event.phase} (from iteration ${event.iteration})`;
    case "iteration": {
      left.add(event.seconds);
      const remaining = left.guess(event.iterations - event.iteration);
      const parts = [
        `iteration ${event.iteration}/${event.iterations}`,
        event.phase,
        ...summaryParts(event.summary),
        duration(event.seconds),
      ];
      if (remaining !== null && event.iteration < event.iterations) parts.push(`left ${duration(remaining)}`);
      return parts.join("  ");
    }
    case "evaluation":
      return `evaluation after iteration ${event.iteration}, ${event.split} ${event.mode}: success ${percent(event.success)} of ${event.tasks}  (${byType(event.successByType)})`;
    case "activity":
    case "checkpoint":
    case "end":
      return null;
  }
}
