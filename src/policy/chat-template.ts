/**
 * A folder's chat template (Jinja through @huggingface/jinja), with the text around the messages kept: rollouts render tens of thousands of
 * prompts a minute, alike but for what the messages say. It is kept only for templates that, read as a syntax tree, do nothing with the
 * content of a message but put it out; every other template is rendered in full each time. Knows no tokens.
 */
import { Template } from "@huggingface/jinja";

/** A chat message as templates take it. */
export interface Message {
  readonly role: string;
  readonly content: string;
}

/** A node of the tree; every node has a type, and what else it has is looked at by name. */
interface Node {
  readonly type: string;
  readonly [key: string]: unknown;
}

// Private-use characters around the number of a message, where its content will stand.
const OPEN = "\ue000";
const CLOSE = "\ue001";
const HOLE = new RegExp(`${OPEN}(\\d+)${CLOSE}`);
/** Conversations of different roles and lengths whose frame is kept; they start anew beyond it. */
const FRAMES = 1000;

export class ChatTemplate {
  readonly #template: Template;
  readonly #values: Readonly<Record<string, unknown>>;
  /** By roles and flag: fixed text and numbers of messages in turns. Undefined where contents may change what is around them. */
  readonly #frames: Map<string, readonly string[]> | undefined;

  /** @param values what the template may name besides the messages: special tokens */
  constructor(source: string, values: Readonly<Record<string, unknown>>) {
    this.#template = new Template(source);
    this.#values = values;
    const plain = !source.includes(OPEN) && putsContentsOut(this.#template.parsed as unknown as Node);
    this.#frames = plain ? new Map() : undefined;
  }

  render(messages: readonly Message[], addGenerationPrompt: boolean): string {
    const roles = messages.map(({ role }) => role).join("\n");
    if (!this.#frames || roles.includes(OPEN)) return this.#full(messages, addGenerationPrompt);
    const key = `${addGenerationPrompt}\n${messages.length}\n${roles}`;
    let frame = this.#frames.get(key);
    if (!frame) {
      const holes = messages.map(({ role }, i) => ({ role, content: `${OPEN}${i}${CLOSE}` }));
      frame = this.#full(holes, addGenerationPrompt).split(HOLE);
      if (this.#frames.size >= FRAMES) this.#frames.clear();
      this.#frames.set(key, frame);
    }
    let text = frame[0]!;
    for (let i = 1; i < frame.length; i += 2) text += messages[Number(frame[i])]!.content + frame[i + 1]!;
    return text;
  }

  #full(messages: readonly Message[], addGenerationPrompt: boolean): string {
    return this.#template.render({ ...this.#values, messages, add_generation_prompt: addGenerationPrompt });
  }
}

/** Is every message used for its named fields only, and `content` only as (part of) what is put out? Unknown forms count as no. */
function putsContentsOut(program: Node): boolean {
  const loops = new Set<string>();
  const isNode = (value: unknown): value is Node => typeof value === "object" && value !== null && "type" in value;
  const isMessage = (node: Node): boolean =>
    (node.type === "Identifier" && loops.has(node.value as string)) ||
    (node.type === "MemberExpression" && isMessages(node.object as Node) && (node.property as Node).type !== "SliceExpression");
  const isMessages = (node: Node): boolean => node.type === "Identifier" && node.value === "messages";
  const all = (list: unknown, out: boolean): boolean => (list as readonly unknown[]).every((item) => !isNode(item) || holds(item, out));

  const holds = (node: Node, out: boolean): boolean => {
    switch (node.type) {
      case "Program":
        return all(node.body, true);
      case "If":
        return holds(node.test as Node, false) && all(node.body, out) && all(node.alternate, out);
      case "For": {
        const variable = node.loopvar as Node;
        if (!isMessages(node.iterable as Node))
          return holds(node.iterable as Node, false) && all([...(node.body as []), ...(node.defaultBlock as [])], out);
        if (variable.type !== "Identifier") return false;
        loops.add(variable.value as string);
        return all(node.body, out) && all(node.defaultBlock, out);
      }
      case "BinaryExpression": {
        const joins = ["+", "~"].includes((node.operator as { readonly value: string }).value);
        return holds(node.left as Node, out && joins) && holds(node.right as Node, out && joins);
      }
      case "MemberExpression": {
        const [object, property] = [node.object as Node, node.property as Node];
        const name = !node.computed || property.type === "StringLiteral" ? (property.value as string) : undefined;
        if (name === "previtem" || name === "nextitem" || (name === "content" && !out)) return false;
        if (isMessage(object))
          return name !== undefined && (object.type === "Identifier" || !object.computed || holds(object.property as Node, false));
        return !isMessages(object) && holds(object, false) && (name !== undefined || holds(property, false));
      }
      case "Identifier":
        return !["messages", "strftime_now"].includes(node.value as string) && !loops.has(node.value as string);
      default:
        return Object.values(node).every((value) =>
          Array.isArray(value) ? all(value, false) : value instanceof Map ? false : !isNode(value) || holds(value, false),
        );
    }
  };
  return holds(program, true);
}
