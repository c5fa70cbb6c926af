/**
 * docs/config.md, made from the schema: one row per key. `siri docs config` prints it; a test compares the file with it.
 */
import { stringify } from "yaml";
import { listKeys } from "./keys.js";
import { configSchema } from "./schema.js";

const INTRODUCTION = `# Configuration

Made from \`src/config/schema.ts\` by \`npm run siri -- docs config > docs/config.md\`; do not edit it by hand.

A run file is YAML. Every key has a default except those marked "must be given". On the command line \`--set section.key=value\`
overrides a key, as often as needed; the value is read as YAML. \`--seed N\` and \`--name NAME\` stand for \`--set seed=N\` and
\`--set run.name=NAME\`. Unknown keys, wrong types and impossible combinations are refused, all at once, each with file, line and column.

Paths in a run file are relative to that file; on the command line they are relative to the working folder. The configuration as
resolved is written to \`config.yaml\` in the run's folder and can be used as a run file itself.

Where a default comes from: [SIRI] stated by arXiv 2606.02355 or agreed on by notes about it; [GiGPO] stated by arXiv 2505.10978;
[code] read in the public code that GiGPO and its peers share; [peers] unknown for SIRI, the value of a published relative;
[ours] unknown for SIRI, our own choice.
`;

/** The text of docs/config.md. */
export function configDocs(): string {
  const keys = listKeys(configSchema);
  const sections = keys.filter((key) => key.section).map((key) => key.path);
  const parts = ["", ...sections].map((section) => {
    const rows = keys.filter((key) => !key.section && key.path.slice(0, Math.max(0, key.path.lastIndexOf("."))) === section);
    if (rows.length === 0) return "";
    const lines = rows.map(
      (key) =>
        `| \`${key.path}\` | ${cell(key.type)} | ${key.default === undefined ? "must be given" : code(key.default)} | ${cell(key.description)} |`,
    );
    return `\n## ${section === "" ? "The run as a whole" : section}\n\n| key | type | default | what it does |\n| --- | --- | --- | --- |\n${lines.join("\n")}\n`;
  });
  return INTRODUCTION + parts.join("");
}

function code(value: unknown): string {
  return `\`${stringify(value, { collectionStyle: "flow" }).trim()}\``;
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|");
}
