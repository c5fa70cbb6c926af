/** Text games in PDDL with a text grammar (`.tw-pddl`): parse a game, play it. */
export { type GameFile, readGameFile } from "./file.js";
export { type Game, parseGame } from "./game.js";
export type { Formula } from "./pddl.js";
export { NOTHING_HAPPENS, type Play } from "./play.js";
