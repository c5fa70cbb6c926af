// `npm run train` and its siblings: set-up, then the command line in this same process. Also what bin/siri.mjs starts.
import "./check-node.mjs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { reportingErrors, root, setUp } from "./setup.mjs";

await reportingErrors(() => setUp());
const { main } = await import(pathToFileURL(join(root, "dist", "cli", "main.js")).href);
await main(process.argv.slice(2));
