/**
 * One play of a game: the state, what can be done in it and how it reads. Plays of a game share everything that does not change; a
 * relation is copied when a play first changes it. Nothing is random.
 */
import type { CompiledAction } from "./actions.js";
import type { Machine } from "./machine.js";
import type { Relation } from "./relation.js";
import type { View } from "./render.js";
import { pythonStrip } from "./strip.js";

export interface Play {
  /** What the last command led to; before the first command, the intro. */
  readonly observation: string;
  /** Every command that will be accepted now, ascending in code-unit order, without repeats. A list is never changed afterwards. */
  readonly admissible: readonly string[];
  /** Whether the goal holds now. Play goes on after a win, and a win can be undone. */
  readonly won: boolean;
  /** 1 if won, else 0. */
  readonly score: 0 | 1;
  /** Sends a command; blanks around it do not count. Anything that is not admissible changes nothing. @returns the feedback. */
  step(command: string): string;
  /** The facts that hold now: predicate, then ids of objects. */
  facts(): Iterable<readonly [predicate: string, ...ids: string[]]>;
}

export const NOTHING_HAPPENS = "Nothing happens.";

interface Command {
  readonly text: string;
  readonly action: number;
  readonly params: readonly number[];
}

/** Possible commands of one action, and when they were found. */
interface Found {
  readonly tick: number;
  readonly commands: readonly Command[];
}

const byText = (a: Command, b: Command) => (a.text < b.text ? -1 : a.text > b.text ? 1 : 0);

/** File order of actions, then order of ids: of equal texts the first is played. */
function comesBefore(a: Command, b: Command): boolean {
  if (a.action !== b.action) return a.action < b.action;
  const i = a.params.findIndex((value, k) => value !== b.params[k]);
  return i >= 0 && a.params[i]! < b.params[i]!;
}

/** Two lists without repeats, ascending by text, as one. */
function merge(a: readonly Command[], b: readonly Command[]): readonly Command[] {
  if (a.length === 0 || byText(a[a.length - 1]!, b[0]!) < 0) return a.concat(b);
  const out: Command[] = [];
  let i = 0;
  let k = 0;
  while (i < a.length && k < b.length) {
    const order = byText(a[i]!, b[k]!);
    if (order < 0) out.push(a[i++]!);
    else if (order > 0) out.push(b[k++]!);
    else {
      out.push(comesBefore(a[i]!, b[k]!) ? a[i]! : b[k]!);
      i++;
      k++;
    }
  }
  while (i < a.length) out.push(a[i++]!);
  while (k < b.length) out.push(b[k++]!);
  return out;
}

export class FastPlay implements Play, View {
  observation: string;
  won: boolean;
  depth = 0;
  rendered = 0;
  readonly relations: Relation[];
  readonly ids;
  readonly names;
  readonly masks;
  readonly task;
  /** Relations that belong to this play alone. */
  private readonly owned: Uint8Array;
  /** Executed commands so far, and for each relation the one that changed it last. */
  private tick = 0;
  private readonly changed: Int32Array;
  private readonly found: Found[] = [];
  private commands: readonly Command[] = [];
  private texts: readonly string[] = [];
  private fresh = false;

  constructor(private readonly machine: Machine) {
    this.relations = machine.relations.slice();
    this.owned = new Uint8Array(this.relations.length);
    this.changed = new Int32Array(this.relations.length);
    this.ids = machine.ids;
    this.names = machine.names;
    this.masks = machine.masks;
    this.task = machine.task;
    this.observation = machine.intro(this);
    this.won = machine.goal.test(this.relations, machine.goal.env);
  }

  get score(): 0 | 1 {
    return this.won ? 1 : 0;
  }

  get admissible(): readonly string[] {
    if (!this.fresh) this.refresh();
    return this.texts;
  }

  step(command: string): string {
    if (!this.fresh) this.refresh();
    const place = this.placeOf(pythonStrip(command));
    this.observation = place < 0 ? NOTHING_HAPPENS : this.execute(this.commands[place]!);
    return this.observation;
  }

  *facts(): Generator<readonly [predicate: string, ...ids: string[]]> {
    for (const [index, predicate] of this.machine.layout.predicates.entries()) {
      const { data, count, arity } = this.relations[index]!;
      for (let row = 0; row < count; row++) {
        const args = data.subarray(row * arity, (row + 1) * arity);
        yield [predicate, ...Array.from(args, (value) => this.ids[value]!)];
      }
    }
  }

  private placeOf(text: string): number {
    const { texts } = this;
    let low = 0;
    let high = texts.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (texts[middle]! < text) low = middle + 1;
      else high = middle;
    }
    return texts[low] === text ? low : -1;
  }

  private execute(command: Command): string {
    const { machine } = this;
    const action = machine.actions[command.action]!;
    const { env } = action;
    for (let i = 0; i < command.params.length; i++) env[i] = command.params[i]!;
    this.tick++;
    this.apply(action);
    this.fresh = false;
    const bound = machine.texts.emptyEnv();
    for (let i = 0; i < command.params.length; i++) bound[action.textSlots[i]!] = command.params[i]!;
    this.depth = 0;
    this.rendered = 0;
    if (machine.goal.reads.some((relation) => this.changed[relation] === this.tick)) {
      this.won = machine.goal.test(this.relations, machine.goal.env);
    }
    return action.feedback(this, bound);
  }

  /** Effects of an action whose parameters stand in its environment. Conditions read the state before; deletions come before additions. */
  private apply({ effects, env }: CompiledAction): void {
    const happens = effects.map((effect) => effect.when === null || effect.when(this.relations, env));
    const possible = effects.map((effect) => effect.add || effect.negated < 0 || this.machine.canHold(this.relations, effect, env));
    for (const add of [false, true]) {
      effects.forEach((effect, i) => {
        if (effect.add === add && happens[i]) this.set(effect.world, env, effect.slots, add);
      });
    }
    effects.forEach((effect, i) => {
      if (!effect.add && effect.when === null && this.isOverridden(effects, i, env)) return;
      if (effect.text >= 0) this.set(effect.text, env, effect.slots, effect.add);
      if (effect.negated >= 0 && possible[i]) this.set(effect.negated, env, effect.slots, !effect.add);
    });
  }

  private isOverridden(effects: CompiledAction["effects"], index: number, env: readonly number[]): boolean {
    const { world, slots } = effects[index]!;
    return effects.some((e) => e.add && e.when === null && e.world === world && e.slots.every((slot, k) => env[slot] === env[slots[k]!]));
  }

  private set(index: number, env: readonly number[], slots: readonly number[], holds: boolean): void {
    let relation = this.relations[index]!;
    const place = relation.find(env, slots);
    if (place >= 0 === holds) return;
    if (!this.owned[index]) {
      relation = this.relations[index] = relation.copy();
      this.owned[index] = 1;
    }
    if (holds) relation.insert(~place, env, slots);
    else relation.delete(place);
    this.changed[index] = this.tick;
  }

  private refresh(): void {
    const { actions } = this.machine;
    let stale = this.found.length === 0;
    for (let i = 0; i < actions.length; i++) {
      const known = this.found[i];
      if (known && !actions[i]!.reads.some((relation) => this.changed[relation]! > known.tick)) continue;
      this.found[i] = { tick: this.tick, commands: this.search(i) };
      stale = true;
    }
    this.fresh = true;
    if (!stale) return;
    const lists = this.found.map((each) => each.commands).filter((list) => list.length > 0);
    const commands = lists.sort((a, b) => byText(a[0]!, b[0]!)).reduce(merge, []);
    this.commands = commands;
    this.texts = commands.map((command) => command.text);
  }

  private search(index: number): readonly Command[] {
    const action = this.machine.actions[index]!;
    const { env, isIdle } = action;
    const out: Command[] = [];
    this.depth = 0;
    this.rendered = 0;
    action.search(this.relations, env, () => {
      if (isIdle?.(env)) return false;
      const params = env.slice(0, action.parameters);
      out.push({ text: this.machine.commandText(index, params, this), action: index, params });
      return false;
    });
    // Several solutions can be one command: by other witnesses of an `exists`, or by parameters that the text does not show.
    const unique: Command[] = [];
    for (const command of out.sort(byText)) {
      const last = unique[unique.length - 1];
      if (last?.text !== command.text) unique.push(command);
      else if (comesBefore(command, last)) unique[unique.length - 1] = command;
    }
    return unique;
  }
}
