/** Which policies are not shipped but made by a command, so that one who lacks such a folder is told the command. */
import { existsSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { SiriError } from "../errors.js";
import { SOURCES } from "./sources.js";

/** @throws SiriError MODEL_NOT_MADE when `dir` is the missing folder of a policy that `siri pretrain` makes; others are left alone. */
export function checkMade(dir: string): void {
  if (existsSync(join(dir, "config.json"))) return;
  const made = Object.entries(SOURCES).find(([, { defaults }]) => basename(defaults.out) === basename(resolve(dir)));
  if (made === undefined) return;
  const [env, { defaults }] = made;
  throw new SiriError(
    "MODEL_NOT_MADE",
    `There is no policy in ${dir}. It is not shipped; \`npm run pretrain -- --env ${env}\` makes ${defaults.out}.`,
  );
}
