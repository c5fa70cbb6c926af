// `npm test`: set-up, ONNX Runtime included, the native check program, then vitest with whatever arguments were given. Arguments choose among vitest's tests, so
// with any of them the check program is left out.
import "./check-node.mjs";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { setUpOnnx } from "./onnx.mjs";
import { checkProgram, reportingErrors, root, SetupError, setUp } from "./setup.mjs";

const args = process.argv.slice(2);
await reportingErrors(() => {
  setUp();
  try {
    setUpOnnx();
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    console.error(`${error.message} The tests of exported policies are skipped.`);
  }
  const vitest = join(root, "node_modules", "vitest", "vitest.mjs");
  if (!existsSync(vitest)) throw new SetupError("The package vitest is missing: run npm ci --include=dev.");
  const commands = [[process.execPath, vitest, "run", ...args]];
  const check = checkProgram();
  if (args.length === 0 && check !== null) commands.unshift([check]);
  let failed = false;
  for (const [program, ...rest] of commands) {
    const result = spawnSync(program, rest, { cwd: root, stdio: "inherit" });
    if (result.status !== 0) failed = true;
  }
  process.exitCode = failed ? 1 : 0;
});
