/** A training process to be killed: node --import tsx train-child.ts FOLDER OVERRIDE... */
import { loadConfig } from "../../src/config/load.js";
import { RunDirectory } from "../../src/run/run-directory.js";
import { train } from "../../src/siri/trainer.js";

const [file, ...set] = process.argv.slice(2);
const config = loadConfig({ file: file!, set });
const run = await RunDirectory.open({ root: config.run.root, name: config.run.name, config, resume: true });
await train({ config, run });
run.close();
