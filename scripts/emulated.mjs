// `npm run test:emulated`: builds an addon that holds the emulated CUDA device (build-emulated/) and trains a toy policy on it through the
// whole of the TypeScript. Minutes: every access of every kernel is checked.
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { join } from "node:path";
import { reportingErrors, root, SetupError, setUp } from "./setup.mjs";

await reportingErrors(() => {
  setUp();
  const cmakeJs = createRequire(join(root, "package.json")).resolve("cmake-js/bin/cmake-js");
  const build = join(root, "build-emulated");
  const flags = ["--CDSIRI_EMULATED_ADDON=ON", "--CDSIRI_CUDA=OFF"];
  console.log("Building the addon with the emulator ...");
  const built = spawnSync(process.execPath, [cmakeJs, "build", "--out", build, "--target", "siri", ...flags], {
    cwd: root,
    encoding: "utf8",
  });
  if (built.status !== 0) throw new SetupError("The build failed.", `${built.stdout}${built.stderr}`.split("\n").slice(-60).join("\n"));
  const env = { ...process.env, SIRI_NATIVE: join(build, "Release", "siri.node"), SIRI_TEST_DEVICE: "emulated" };
  const vitest = join(root, "node_modules", "vitest", "vitest.mjs");
  process.exitCode = spawnSync(process.execPath, [vitest, "run", "test/device.test.ts"], { cwd: root, stdio: "inherit", env }).status ?? 1;
});
