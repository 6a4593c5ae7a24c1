/**
 * Collects the rules of a grammar that is being made, each under a name of its own. The rules of plain JSON come in
 * when something asks for them. Owns the names.
 */

import { GRAMMAR_LIMITS } from '../limits.ts';
import { GrammarProblem } from './flat-grammar.ts';
import { JSON_RULES, type JsonRule } from './json-rules.ts';

/** Of all rules, with those that are not needed in the end: no more work than that is done. */
const MOST_CHARACTERS = 2 * GRAMMAR_LIMITS.characters;
/** Strings and character classes, in which no name is meant. */
const QUOTED = /"(?:\\.|[^"\\])*"|\[(?:\\.|[^\]\\])*\]/g;
const NAME = /[a-zA-Z][a-zA-Z0-9-]*/g;

export class RuleBook {
  readonly #rules = new Map<string, string>();
  /** Names of the rules that may be shared, by their bodies. */
  readonly #added = new Map<string, string>();
  /** The last number given to a name with that stem. */
  readonly #numbers = new Map<string, number>();
  #characters = 0;
  readonly #taken = new Set<string>(['root', ...JSON_RULES.keys()]);

  /** A name that no rule has, made from the hint. */
  reserve(hint: string): string {
    const word = hint.replace(/[^a-zA-Z0-9]+/g, '-').replace(/^[-0-9]+|-$/g, '');
    const stem = word.slice(0, 24) || 'rule';
    let number = this.#numbers.get(stem) ?? 1;
    let name = stem;
    while (this.#taken.has(name)) {
      number += 1;
      name = `${stem}-${number}`;
    }
    this.#numbers.set(stem, number);
    this.#taken.add(name);
    return name;
  }

  define(name: string, body: string): void {
    this.#characters += name.length + body.length;
    if (this.#characters > MOST_CHARACTERS)
      throw new GrammarProblem(1, `while it was made it grew to more than ${MOST_CHARACTERS} characters`);
    this.#rules.set(name, body);
  }

  /** Defines a rule, unless one with the same body was added before, and gives its name. */
  add(hint: string, body: string): string {
    const known = this.#added.get(body);
    if (known !== undefined) return known;
    const name = this.reserve(hint);
    this.define(name, body);
    this.#added.set(body, name);
    return name;
  }

  /** The name of a rule of plain JSON, which is there from now on, with those it needs. */
  json(name: JsonRule): string {
    if (this.#rules.has(name)) return name;
    const rule = JSON_RULES.get(name);
    if (rule === undefined) throw new Error(`There is no JSON rule ${name}.`);
    this.#rules.set(name, rule.body);
    for (const needed of rule.needs) this.json(needed);
    return name;
  }

  /** The grammar whose root is the given part; rules that it does not lead to are left out. */
  text(root: string): string {
    const lines = [`root ::= ${root}`];
    const reached = new Set(namesIn(root));
    for (const name of reached) {
      const body = this.#rules.get(name);
      if (body === undefined) continue;
      lines.push(`${name} ::= ${body}`);
      for (const other of namesIn(body)) reached.add(other);
    }
    return `${lines.join('\n')}\n`;
  }
}

function namesIn(body: string): readonly string[] {
  return body.replace(QUOTED, ' ').match(NAME) ?? [];
}
