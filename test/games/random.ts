/** A random walk through a game by the engine and by its plain twin, side by side. */
import { expect } from "vitest";
import type { Game, GameFile, Play } from "../../src/env/textworld/index.js";
import { ReferencePlay } from "../../src/env/textworld/reference.js";

/** Numbers in [0, 1) that depend on the seed alone (mulberry32). */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export const sortedFacts = (play: Play): string[] => [...play.facts()].map((fact) => fact.join(" ")).sort();

const firstWord = (command: string) => command.split(" ", 1)[0]!;

/** Draws a verb, then one of its commands, so that rare things happen too. @returns the first words of the commands played */
export function expectTwins(game: Game, file: string | GameFile, steps: number, random: () => number): Set<string> {
  const play = game.start();
  const twin = new ReferencePlay(file);
  const verbs = new Set<string>();
  for (let step = 0; step <= steps; step++) {
    const state = { observation: play.observation, admissible: play.admissible, won: play.won, score: play.score };
    expect(state).toEqual({ observation: twin.observation, admissible: twin.admissible, won: twin.won, score: twin.score });
    const words = [...new Set(play.admissible.map(firstWord))];
    const verb = words[Math.floor(random() * words.length)];
    const offered = play.admissible.filter((each) => firstWord(each) === verb);
    const command = offered[Math.floor(random() * offered.length)] ?? "look";
    verbs.add(firstWord(command));
    expect(play.step(command)).toBe(play.observation);
    twin.step(command);
  }
  expect(sortedFacts(play)).toEqual(sortedFacts(twin));
  return verbs;
}
