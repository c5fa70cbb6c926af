/** The prompt templates by name (`agent.template` in a run file). */
import { SiriError } from "../errors.js";
import type { AgentTemplate } from "./agent.js";
import { compact } from "./compact.js";
import { compactShop } from "./compact-shop.js";
import { verl, verlAlfworld } from "./verl.js";
import { verlWebshop } from "./verl-webshop.js";

const TEMPLATES: readonly AgentTemplate[] = [compact, compactShop, verl, verlAlfworld, verlWebshop];

export const templateNames: readonly string[] = TEMPLATES.map((item) => item.name);

/** @throws SiriError CONFIG_TEMPLATE */
export function template(name: string): AgentTemplate {
  const found = TEMPLATES.find((item) => item.name === name);
  if (!found) {
    throw new SiriError("CONFIG_TEMPLATE", `agent.template is "${name}"; the templates are ${templateNames.join(", ")}. Set one of them.`);
  }
  return found;
}
