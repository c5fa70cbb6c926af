/**
 * The PDDL domain and the text grammar of household games. Both are the same for all games except for the grammar's `task`
 * rule, so that an engine can compile them once. Knows no world.
 *
 * Verbs and command shapes are those of ALFWorld's 2.1.3 files, and the sentences that an agent's memory is read from (arriving,
 * contents, picking up, moving, cleaning) keep their structure, so that one reader serves both; domain, grammar and all other
 * texts are our own. There is no `help`, no slicing, and a thing is examined only while it is held.
 */

export const DOMAIN = `; Household chores: one agent walks between pieces of furniture, carries one thing at a time, and
; washes, warms, chills or lights what it needs.
(define (domain household)
  (:requirements :adl :typing)
  (:types agent spot furniture thing fkind tkind)
  (:predicates
    (at ?a - agent ?l - spot)
    (stands ?r - furniture ?l - spot)
    (hasdoor ?r - furniture)
    (ajar ?r - furniture)
    (within ?o - thing ?r - furniture)
    (portable ?o - thing)
    (carries ?a - agent ?o - thing)
    (burdened ?a - agent)
    (iskind ?r - furniture ?k - fkind)
    (ofkind ?o - thing ?k - tkind)
    (takes ?f - fkind ?k - tkind)
    (washes ?r - furniture)
    (warms ?r - furniture)
    (chills ?r - furniture)
    (washable ?o - thing)
    (warmable ?o - thing)
    (chillable ?o - thing)
    (washed ?o - thing)
    (warmed ?o - thing)
    (chilled ?o - thing)
    (lightable ?o - thing)
    (lit ?o - thing)
    (noticed ?l - spot)
    (inspected ?r - furniture)
    (handled ?o - thing)
    (recalled ?a - agent)
  )

  (:action look
    :parameters (?a - agent ?l - spot)
    :precondition (and (at ?a ?l))
    :effect (and (noticed ?l)))

  (:action inventory
    :parameters (?a - agent)
    :precondition ()
    :effect (and (recalled ?a)))

  (:action inspectFurniture
    :parameters (?a - agent ?r - furniture)
    :precondition (and (exists (?l - spot) (and (at ?a ?l) (stands ?r ?l))))
    :effect (and (inspected ?r)))

  (:action inspectThing
    :parameters (?a - agent ?o - thing)
    :precondition (and (carries ?a ?o))
    :effect (and (handled ?o)))

  (:action walk
    :parameters (?a - agent ?from - spot ?to - spot ?r - furniture)
    :precondition (and (at ?a ?from) (stands ?r ?to))
    :effect (and (not (at ?a ?from)) (at ?a ?to)))

  (:action open
    :parameters (?a - agent ?l - spot ?r - furniture)
    :precondition (and (hasdoor ?r) (at ?a ?l) (stands ?r ?l) (not (ajar ?r)))
    :effect (and (ajar ?r)))

  (:action close
    :parameters (?a - agent ?l - spot ?r - furniture)
    :precondition (and (hasdoor ?r) (at ?a ?l) (stands ?r ?l) (ajar ?r))
    :effect (and (not (ajar ?r))))

  (:action take
    :parameters (?a - agent ?l - spot ?o - thing ?r - furniture)
    :precondition (and (portable ?o) (at ?a ?l) (stands ?r ?l) (within ?o ?r) (not (burdened ?a))
                       (or (not (hasdoor ?r)) (ajar ?r)))
    :effect (and (not (within ?o ?r)) (carries ?a ?o) (burdened ?a)))

  (:action move
    :parameters (?a - agent ?l - spot ?o - thing ?r - furniture ?tk - tkind ?fk - fkind)
    :precondition (and (carries ?a ?o) (at ?a ?l) (stands ?r ?l) (or (not (hasdoor ?r)) (ajar ?r))
                       (ofkind ?o ?tk) (iskind ?r ?fk) (takes ?fk ?tk))
    :effect (and (within ?o ?r) (not (carries ?a ?o)) (not (burdened ?a))))

  (:action clean
    :parameters (?a - agent ?l - spot ?r - furniture ?o - thing)
    :precondition (and (washable ?o) (washes ?r) (at ?a ?l) (stands ?r ?l) (carries ?a ?o))
    :effect (and (washed ?o)))

  (:action heat
    :parameters (?a - agent ?l - spot ?r - furniture ?o - thing)
    :precondition (and (warmable ?o) (warms ?r) (at ?a ?l) (stands ?r ?l) (carries ?a ?o))
    :effect (and (warmed ?o) (not (chilled ?o))))

  (:action cool
    :parameters (?a - agent ?l - spot ?r - furniture ?o - thing)
    :precondition (and (chillable ?o) (chills ?r) (at ?a ?l) (stands ?r ?l) (carries ?a ?o))
    :effect (and (chilled ?o) (not (warmed ?o))))

  (:action use
    :parameters (?a - agent ?l - spot ?o - thing ?r - furniture)
    :precondition (and (lightable ?o) (at ?a ?l) (stands ?r ?l) (within ?o ?r))
    :effect (and (lit ?o)))
)
`;

type Rule = { condition?: string; rhs: string };

const CONTENTS = "[{o.indefinite + ' ' + o.name | within(o:thing, r:furniture)}]";

const RULES: Readonly<Record<string, readonly Rule[]>> = {
  intro: [{ rhs: "-= A day in the house =-\n\n#look.feedback#\n\n#task#" }],
  "look.feedback": [
    {
      condition: "at(a:agent, l:spot) & stands(r:furniture, l:spot)",
      rhs: "You stand at the [{r.name | at(a:agent, l:spot) & stands(r:furniture, l:spot)}].",
    },
    { rhs: "You stand in the middle of the room. Around you, you see [{r.indefinite + ' ' + r.name | stands(r:furniture, s:spot)}]." },
  ],
  "furniture.state": [
    { condition: "hasdoor(r:furniture) & ajar(r:furniture)", rhs: `The {r.name} is open. In it, you see ${CONTENTS}.` },
    { condition: "hasdoor(r:furniture)", rhs: "The {r.name} is closed." },
    { rhs: `On the {r.name}, you see ${CONTENTS}.` },
  ],
  "thing.state": [
    { condition: "washed(o:thing) & warmed(o:thing)", rhs: "You hold the {o.name}. It is clean and hot." },
    { condition: "washed(o:thing) & chilled(o:thing)", rhs: "You hold the {o.name}. It is clean and cold." },
    { condition: "washed(o:thing)", rhs: "You hold the {o.name}. It is clean." },
    { condition: "warmed(o:thing)", rhs: "You hold the {o.name}. It is hot." },
    { condition: "chilled(o:thing)", rhs: "You hold the {o.name}. It is cold." },
    { rhs: "You hold the {o.name}. You notice nothing else about it." },
  ],
  "inventory.feedback": [
    { condition: "burdened(a:agent)", rhs: "In your hands: [{o.indefinite + ' ' + o.name | carries(a:agent, o:thing)}]." },
    { rhs: "Your hands are empty." },
  ],
  "inspectfurniture.feedback": [{ rhs: "#furniture.state#" }],
  "inspectthing.feedback": [{ rhs: "#thing.state#" }],
  "walk.feedback": [{ rhs: "You arrive at {r.name}. #furniture.state#" }],
  "open.feedback": [{ rhs: "You open the {r.name}. #furniture.state#" }],
  "close.feedback": [{ rhs: "You close the {r.name}." }],
  "take.feedback": [{ rhs: "You pick up the {o.name} from the {r.name}." }],
  "move.feedback": [{ rhs: "You move the {o.name} to the {r.name}." }],
  "clean.feedback": [{ rhs: "You clean the {o.name} using the {r.name}. It is clean now." }],
  "heat.feedback": [{ rhs: "You heat the {o.name} using the {r.name}. It is hot now." }],
  "cool.feedback": [{ rhs: "You cool the {o.name} using the {r.name}. It is cold now." }],
  "use.feedback": [{ rhs: "You switch the {o.name} on." }],
  list_empty: [{ rhs: "nothing" }],
  list_separator: [{ rhs: ", " }],
  list_last_separator: [{ rhs: ", and " }],
};

const TEMPLATES: Readonly<Record<string, string>> = {
  look: "look",
  inventory: "inventory",
  inspectFurniture: "examine {r}",
  inspectThing: "examine {o}",
  walk: "go to [{r.name | stands(r:furniture, to:spot)}]",
  open: "open {r}",
  close: "close {r}",
  take: "take {o} from {r}",
  move: "move {o} to {r}",
  clean: "clean {o} with {r}",
  heat: "heat {o} with {r}",
  cool: "cool {o} with {r}",
  use: "use {o}",
};

const block = (rules: Readonly<Record<string, readonly Rule[]>>): string => `grammar :: """\n${JSON.stringify(rules, null, 1)}\n""";\n`;

const GRAMMAR_HEAD =
  block(RULES) +
  Object.entries(TEMPLATES)
    .map(([name, template]) => `\naction ${name} {\n  template :: "${template}";\n  feedback :: "#${name.toLowerCase()}.feedback#";\n}\n`)
    .join("");

/** The grammar with the task sentence in its last block. The sentence must be plain words (no quotes, brackets or marks). */
export function grammarFor(sentence: string): string {
  return `${GRAMMAR_HEAD}\n${block({ task: [{ rhs: `Your task is to: ${sentence}.` }] })}`;
}
