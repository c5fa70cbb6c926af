/**
 * What an exported policy carries so that another program can play with it: the template's prompts with their places in braces, the chat
 * template, the tokens that end a reply. Plain texts, for metadata_props. Knows no ONNX.
 */
import type { AgentTemplate, ChatMessage } from "../agent/agent.js";
import type { Observation } from "../env/environment.js";

export interface PolicyUse {
  readonly template: AgentTemplate;
  readonly historyLength: number;
  readonly maxResponseTokens: number;
}

/** The template's words around `{task}`, `{observation}`, `{previous observation}`, `{previous action}`, `{action 1}`, `{action 2}`. */
export function promptTexts({ template, historyLength }: PolicyUse): { readonly first: string; readonly later: string } {
  const see = (text: string): Observation => ({ text, task: "{task}", actions: ["{action 1}", "{action 2}"], anchor: text });
  const text = (messages: readonly ChatMessage[]) =>
    messages.length === 1 ? messages[0]!.content : messages.map(({ role, content }) => `${role}: ${content}`).join("\n\n");
  const first = text(template.begin(see("{observation}"), { historyLength }).prompt());
  const episode = template.begin(see("{previous observation}"), { historyLength });
  episode.record("{previous action}", true, see("{observation}"));
  return { first, later: text(episode.prompt()) };
}

export function policyMetadata(
  use: PolicyUse,
  model: { readonly stopTokens: readonly number[]; readonly stopTexts: readonly string[]; readonly chatTemplate: string | null },
  version: string,
): Record<string, string> {
  const { first, later } = promptTexts(use);
  return {
    "siri.version": version,
    "siri.prompt_template": use.template.name,
    "siri.prompt_first_step": first,
    "siri.prompt_later_step": later,
    "siri.history_length": String(use.historyLength),
    "siri.max_response_tokens": String(use.maxResponseTokens),
    "siri.stop_tokens": JSON.stringify(model.stopTokens),
    "siri.stop_texts": JSON.stringify(model.stopTexts),
    ...(model.chatTemplate === null ? {} : { "siri.chat_template": model.chatTemplate }),
  };
}
