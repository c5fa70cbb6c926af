import { Template } from "@huggingface/jinja";
import { afterEach, describe, expect, test, vi } from "vitest";
import { ChatTemplate, type Message } from "./chat-template.js";

afterEach(() => vi.restoreAllMocks());

const CONVERSATIONS: readonly (readonly Message[])[] = [
  [{ role: "user", content: "Where is it?" }],
  [{ role: "user", content: "  {{ 1 }} \ue0000\ue001 {% raw %}\n" }],
  [
    { role: "system", content: "Be short." },
    { role: "user", content: "" },
    { role: "assistant", content: "<think>x</think> yes" },
    { role: "user", content: "special" },
  ],
  [],
];
const LOOP = (body: string) => `{% for message in messages %}${body}{% endfor %}`;
const tokens = { bos_token: "<s>" };

function rendered(source: string): { renders: number; frames: boolean } {
  const spy = vi.spyOn(Template.prototype, "render");
  const chat = new ChatTemplate(source, tokens);
  for (const messages of [...CONVERSATIONS, ...CONVERSATIONS])
    for (const flag of [true, false]) {
      const own = chat.render(messages, flag);
      spy.mockClear();
      expect(own).toBe(new Template(source).render({ ...tokens, messages, add_generation_prompt: flag }));
    }
  spy.mockClear();
  chat.render(CONVERSATIONS[0]!, true);
  return { renders: spy.mock.calls.length, frames: spy.mock.calls.length === 0 };
}

describe("what is around the messages is kept", () => {
  test.each([
    ["plain", `${LOOP("{{ '<|' + message.role + '|>' + message.content }}")}{% if add_generation_prompt %}<|a|>{% endif %}`],
    ["by brackets, with a condition on the role", LOOP("{% if message['role'] == 'user' %}{{ message['content'] }}{% else %}-{% endif %}")],
    [
      "the first one by its number",
      `{% if messages[0].role == 'system' %}{{ bos_token ~ messages[0]['content'] }}{% endif %}${LOOP("{{ message.content }}")}`,
    ],
    [
      "what stood before by its role",
      LOOP("{% if loop.first or messages[loop.index0 - 1].role != 'user' %}+{% endif %}{{ message.content }}"),
    ],
  ])("%s", (_, source) => expect(rendered(source).frames).toBe(true));
});

describe("rendered in full where the content can change more than itself", () => {
  test.each([
    ["a filter", LOOP("{{ message.content | trim }}")],
    ["a condition", LOOP("{% if 'special' in message.content %}!{% endif %}{{ message.content }}")],
    ["a variable", LOOP("{% set text = message.content %}{{ text }}")],
    ["a method", LOOP("{{ message.content.strip() }}")],
    ["the whole message", LOOP("{{ message | tojson }}")],
    ["all messages", "{{ messages | length }}"],
    ["a slice", "{% for message in messages[1:] %}{{ message.content }}{% endfor %}"],
    ["an index by a variable", LOOP("{% set key = 'content' %}{{ message[key] | upper }}")],
  ])("%s", (_, source) => expect(rendered(source).renders).toBe(1));
});
