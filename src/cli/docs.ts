/** `siri docs config`: prints the reference of all configuration keys, docs/config.md. */
import type { Command } from "commander";
import { configDocs } from "../config/docs.js";

export function register(program: Command): void {
  program
    .command("docs")
    .description("print reference documentation made from the program itself")
    .addArgument(program.createArgument("<topic>", "what to document").choices(["config"]))
    .action(() => {
      process.stdout.write(configDocs());
    });
}
