/** A household game as a file that other players of the format read, too. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Task } from "../environment.js";
import { gameOf } from "./index.js";

/** Writes a task's game as `<dir>/<task id>.tw-pddl`. @returns the path */
export function writeGame(dir: string, task: Task): string {
  const path = join(dir, `${task.id}.tw-pddl`);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, JSON.stringify(gameOf(task).file));
  return path;
}
