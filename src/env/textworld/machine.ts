/** Everything about a game that plays share: objects, initial relations, compiled actions, goal and texts. */
import { type ActionTexts, type CompiledAction, type CompiledEffect, compileAction, compileTexts, predicatesOf } from "./actions.js";
import { type GameGrammar, type Grammar, TASK_SYMBOL } from "./grammar.js";
import { type Layout, layoutOf } from "./layout.js";
import { displayNames, unnumberedName } from "./names.js";
import type { Atom, Domain, Formula, Problem, TypedName } from "./pddl.js";
import { reachableFacts } from "./reachable.js";
import { Relation } from "./relation.js";
import { type Render, Texts, type View } from "./render.js";
import { Compiler, type Env, type Relations, type Tables, type Test } from "./search.js";

const INTRO_SYMBOL = "intro";
/** Commands remembered per action; a game that plays for long must not grow without end. */
const TEXT_LIMIT = 256;

interface Shared {
  readonly layout: Layout;
  readonly texts: Texts;
  readonly actions: readonly ActionTexts[];
}

const shared = new WeakMap<Domain, WeakMap<Grammar, Shared>>();

function sharedBy(domain: Domain, grammar: Grammar): Shared {
  let byGrammar = shared.get(domain);
  if (!byGrammar) {
    byGrammar = new WeakMap();
    shared.set(domain, byGrammar);
  }
  let value = byGrammar.get(grammar);
  if (!value) {
    const layout = layoutOf(domain);
    const texts = new Texts(grammar, layout);
    value = { layout, texts, actions: compileTexts(layout, grammar, texts) };
    byGrammar.set(grammar, value);
  }
  return value;
}

function compileGoal(layout: Layout, tables: Tables, goal: Formula): Machine["goal"] {
  const compiler = new Compiler(tables);
  const reads = new Set<number>();
  predicatesOf(goal, (predicate) => reads.add(layout.world.get(predicate)!));
  return { test: compiler.test(goal, new Map()), env: compiler.env, reads: [...reads] };
}

/** The objects of a game. Outside the constructor below, so that nothing keeps the parsed problem alive. */
class Objects {
  /** Ids in ascending code-unit order; an object's number is its place here. */
  readonly ids: readonly string[];
  /** One mask over objects per type, in the order of the domain's types. */
  readonly masks: readonly Uint8Array[];

  constructor(domain: Domain, objects: readonly TypedName[]) {
    const sorted = [...objects].sort((a, b) => (a.name < b.name ? -1 : 1));
    // Ids are slices of the problem's text; a copy of their own lets that text go.
    this.ids = sorted.map(({ name }) => String.fromCharCode(...Array.from(name, (character) => character.charCodeAt(0))));
    const lines = sorted.map(({ type }) => domain.types.get(type));
    this.masks = [...domain.types.keys()].map((type) => Uint8Array.from(lines, (line) => (line?.has(type) ? 1 : 0)));
  }

  /** By halves: a map would be the largest part of a game. */
  numberOf(id: string): number | undefined {
    let low = 0;
    let high = this.ids.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.ids[middle]! < id) low = middle + 1;
      else high = middle;
    }
    return this.ids[low] === id ? low : undefined;
  }
}

class GameTables implements Tables {
  readonly relationOf: ReadonlyMap<string, number>;
  private readonly types: readonly string[];
  private readonly lists: readonly (readonly number[])[];

  constructor(
    layout: Layout,
    private readonly objects: Objects,
    readonly relations: Relations,
  ) {
    this.relationOf = layout.world;
    this.types = [...layout.domain.types.keys()];
    this.lists = objects.masks.map((mask) => [...mask.keys()].filter((number) => mask[number] === 1));
  }

  members(type: string): readonly number[] {
    return this.lists[this.types.indexOf(type)] ?? [];
  }

  mask(type: string): Uint8Array {
    return this.objects.masks[this.types.indexOf(type)] ?? new Uint8Array(this.objects.ids.length);
  }

  numberOf(id: string): number | undefined {
    return this.objects.numberOf(id);
  }
}

function initialRelations(layout: Layout, { ids }: Objects, init: readonly Atom[]): Relation[] {
  const numbers = new Map(ids.map((id, i) => [id, i]));
  const rows = layout.predicates.map((): number[][] => []);
  for (const { predicate, args } of init) rows[layout.world.get(predicate)!]!.push(args.map((id) => numbers.get(id)!));
  const world = rows.map((list, i) => Relation.of(layout.arities[i]!, list));
  const none = rows.map((_, i) => new Relation(layout.arities[i]!));
  return [...world, ...world, ...none];
}

/** Numbers of the objects that stand in an initial fact, ascending. */
function entitiesOf(relations: Relations): number[] {
  const found = new Set<number>();
  for (const { data, count, arity } of relations) for (let i = 0; i < count * arity; i++) found.add(data[i]!);
  return [...found].sort((a, b) => a - b);
}

export class Machine {
  readonly layout: Layout;
  readonly texts: Texts;
  readonly ids: readonly string[];
  readonly names: readonly string[];
  /** Objects that stand in an initial fact. */
  readonly entities: readonly number[];
  readonly masks: readonly Uint8Array[];
  /** Initial relations in the order of the layout. */
  readonly relations: Relations;
  readonly actions: readonly CompiledAction[];
  readonly goal: { readonly env: Env; readonly test: Test; readonly reads: readonly number[] };
  readonly task: Render | null;
  private readonly tables: Tables;
  private readonly commandTexts: Map<number, string>[];
  private introText: string | undefined;
  private reachable: Relations | undefined;

  constructor(domain: Domain, problem: Problem, { grammar, task }: GameGrammar) {
    const { layout, texts, actions } = sharedBy(domain, grammar);
    const objects = new Objects(domain, problem.objects);
    this.layout = layout;
    this.texts = texts;
    this.ids = objects.ids;
    this.masks = objects.masks;
    this.relations = initialRelations(layout, objects, problem.init);
    this.entities = entitiesOf(this.relations);
    const names = objects.ids.map(unnumberedName);
    for (const [i, name] of displayNames(this.entities.map((number) => objects.ids[number]!)).entries()) names[this.entities[i]!] = name;
    this.names = names;
    this.tables = new GameTables(layout, objects, this.relations);
    this.actions = actions.map((action) => compileAction(layout, this.tables, action));
    this.commandTexts = actions.map(() => new Map());
    this.goal = compileGoal(layout, this.tables, problem.goal);
    this.task = task && texts.template(task);
  }

  /** The text before the first command. */
  intro(view: View): string {
    this.introText ??= this.texts.symbol(INTRO_SYMBOL)(view, this.texts.emptyEnv());
    return this.introText;
  }

  /** The task sentence of the grammar, or "" when it has none. */
  taskText(view: View): string {
    return this.texts.has(TASK_SYMBOL) ? this.texts.symbol(TASK_SYMBOL)(view, this.texts.emptyEnv()) : "";
  }

  commandText(index: number, params: readonly number[], view: View): string {
    const action = this.actions[index]!;
    if (action.textKey === null) return this.render(action, params, view);
    let key = 0;
    for (const i of action.textKey) key = key * this.ids.length + params[i]!;
    if (key > Number.MAX_SAFE_INTEGER) return this.render(action, params, view);
    const known = this.commandTexts[index]!;
    let text = known.get(key);
    if (text === undefined) {
      text = this.render(action, params, view);
      if (known.size >= TEXT_LIMIT) known.clear();
      known.set(key, text);
    }
    return text;
  }

  private render(action: CompiledAction, params: readonly number[], view: View): string {
    const env = this.texts.emptyEnv();
    params.forEach((value, i) => {
      env[action.textSlots[i]!] = value;
    });
    return action.command(view, env);
  }

  /** Whether the atom of an effect could ever be true: a negative effect on one that could not leaves no `not_` fact. */
  canHold(relations: Relations, { world, slots }: CompiledEffect, env: Env): boolean {
    if (relations[world]!.has(env, slots)) return true;
    this.reachable ??= reachableFacts(this.layout, this.tables);
    return this.reachable[world]!.has(env, slots);
  }
}
