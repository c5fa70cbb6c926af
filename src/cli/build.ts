/** `siri build`: compiles the engine of this package from its C++ sources; the loader then prefers it to a prebuilt one. */
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Command } from "commander";
import { nativeBinary } from "../native.js";
import { PACKAGE_ROOT } from "./package.js";

interface SetupScript {
  setUp(options: { force: boolean; only: string }): void;
  reportingErrors(work: () => void): Promise<void>;
}

export function register(program: Command): void {
  program
    .command("build")
    .description("compile the engine from source (needs CMake and a C++20 compiler; nvcc for GPUs)")
    .action(async () => {
      const script = pathToFileURL(join(PACKAGE_ROOT, "scripts", "setup.mjs")).href;
      const { setUp, reportingErrors } = (await import(script)) as SetupScript;
      await reportingErrors(() => setUp({ force: true, only: "native" }));
      console.log(`The engine is now the ${nativeBinary().name}.`);
    });
}
