/** Everything about a game that plays share: objects, initial relations, compiled actions, goal and texts. */
import { type ActionTexts, type CompiledAction, type CompiledEffect, compileAction, compileTexts, predicatesOf } from "./actions.js";
import { type GameGrammar, type Grammar, TASK_SYMBOL } from "./grammar.js";
import { type Layout, layoutOf } from "./layout.js";
import { displayNames, unnumberedName } from "./names.js";
import type { Domain, Problem } from "./pddl.js";
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

export class Machine {
  readonly layout: Layout;
  readonly texts: Texts;
  /** Ids in ascending code-unit order; an object's number is its place here. */
  readonly ids: readonly string[];
  readonly names: readonly string[];
  /** Objects that stand in an initial fact. */
  readonly entities: readonly number[];
  readonly masks: readonly Uint8Array[];
  /** Initial relations in the order of the layout. */
  readonly relations: Relations;
  readonly actions: readonly CompiledAction[];
  readonly goal: { readonly env: Env; readonly test: Test; readonly reads: readonly number[] };
  readonly intro: Render;
  readonly task: Render | null;
  private readonly tables: Tables;
  private readonly commandTexts: Map<number, string>[];
  private reachable: Relations | undefined;

  constructor(domain: Domain, problem: Problem, { grammar, task }: GameGrammar) {
    const { layout, texts, actions } = sharedBy(domain, grammar);
    this.layout = layout;
    this.texts = texts;
    const sorted = [...problem.objects].sort((a, b) => (a.name < b.name ? -1 : 1));
    // Ids are slices of the problem's text; a copy of their own lets that text go.
    this.ids = sorted.map(({ name }) => Buffer.from(name, "latin1").toString("latin1"));
    const numbers = new Map(this.ids.map((id, i) => [id, i]));
    const types = [...domain.types.keys()];
    const lines = sorted.map(({ type }) => domain.types.get(type));
    this.masks = types.map((type) => Uint8Array.from(lines, (line) => (line?.has(type) ? 1 : 0)));

    const rows = layout.predicates.map((): number[][] => []);
    const isEntity = new Uint8Array(this.ids.length);
    for (const { predicate, args } of problem.init) {
      const row = args.map((id) => numbers.get(id)!);
      for (const number of row) isEntity[number] = 1;
      rows[layout.world.get(predicate)!]!.push(row);
    }
    const size = rows.length;
    const relations = layout.arities.slice(0, size).map((arity, i) => Relation.of(arity, rows[i]!));
    const none = layout.arities.slice(0, size).map((arity) => new Relation(arity));
    this.relations = [...relations, ...relations, ...none];
    this.entities = [...isEntity.keys()].filter((number) => isEntity[number] === 1);
    const displayed = displayNames(this.entities.map((number) => this.ids[number]!));
    const names = this.ids.map((id) => (isEntity[numbers.get(id)!] ? "" : unnumberedName(id)));
    this.entities.forEach((number, i) => {
      names[number] = displayed[i]!;
    });
    this.names = names;

    const members = this.masks.map((mask) => [...mask.keys()].filter((number) => mask[number] === 1));
    const nothing = new Uint8Array(this.ids.length);
    this.tables = {
      relationOf: layout.world,
      relations: this.relations,
      members: (type) => members[types.indexOf(type)] ?? [],
      mask: (type) => this.masks[types.indexOf(type)] ?? nothing,
      numberOf: (id) => numbers.get(id),
    };
    this.actions = actions.map((action) => compileAction(layout, this.tables, action));
    this.commandTexts = actions.map(() => new Map());
    const compiler = new Compiler(this.tables);
    const reads = new Set<number>();
    predicatesOf(problem.goal, (predicate) => reads.add(layout.world.get(predicate)!));
    this.goal = { test: compiler.test(problem.goal, new Map()), env: compiler.env, reads: [...reads] };
    this.intro = texts.symbol(INTRO_SYMBOL);
    this.task = task && texts.template(task);
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
