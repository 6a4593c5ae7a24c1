/**
 * Writes GBNF. `GrammarBuilder` collects rules under names of their own; the rules of plain JSON are added when they are
 * first used. Below are the functions that write the pieces of a rule. A "part" is GBNF that may stand in a sequence; only a
 * part that is one character class or one name may be repeated, so that the engine counts the repetitions alone.
 */
import { GRAMMAR_LIMITS } from '../limits.ts';
import { type CharacterSet, charactersOf, difference } from './character-set.ts';
import { type Alternative, type FlatGrammar, GrammarError } from './flat-grammar.ts';

/** Of all rules, with those that turn out not to be needed: bounds the work. */
const MAX_CHARACTERS = 2 * GRAMMAR_LIMITS.characters;
/** Strings and character classes, which contain no names. */
const QUOTED = /"(?:\\.|[^"\\])*"|\[(?:\\.|[^\]\\])*\]/g;
const NAME = /[a-zA-Z][a-zA-Z0-9-]*/g;

export class GrammarBuilder {
  readonly #rules = new Map<string, string>();
  /** Names of the rules that may be shared, by their bodies. */
  readonly #added = new Map<string, string>();
  /** The last number given to a name with that stem. */
  readonly #numbers = new Map<string, number>();
  #characters = 0;
  readonly #taken = new Set<string>(['root', ...JSON_RULES.keys()]);

  /** A name that no rule has, derived from the hint. */
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
    if (this.#characters > MAX_CHARACTERS)
      throw new GrammarError(1, `it grew to more than ${MAX_CHARACTERS} characters`);
    this.#rules.set(name, body);
  }

  /** Defines a rule, or finds one that was added with the same body. Returns its name. */
  add(hint: string, body: string): string {
    const known = this.#added.get(body);
    if (known !== undefined) return known;
    const name = this.reserve(hint);
    this.define(name, body);
    this.#added.set(body, name);
    return name;
  }

  /** Adds a rule of plain JSON, with the rules that it needs. Returns its name. */
  json(name: JsonRule): string {
    if (this.#rules.has(name)) return name;
    const rule = JSON_RULES.get(name);
    if (rule === undefined) throw new Error(`There is no JSON rule ${name}.`);
    this.#rules.set(name, rule.body);
    for (const needed of rule.needs) this.json(needed);
    return name;
  }

  /** The grammar with that part as its root. Rules that it does not lead to are omitted. */
  build(root: string): string {
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

/**
 * The rules of plain JSON (RFC 8259) that all grammars made here share. Whitespace and digits are bounded, so that a model
 * cannot go on with them for ever. An escape never names a surrogate: characters beyond U+FFFF are written as themselves,
 * so that every `char` is one character of the string.
 */
type JsonRule =
  | 'ws'
  | 'char'
  | 'string'
  | 'integer'
  | 'number'
  | 'boolean'
  | 'null'
  | 'array'
  | 'object'
  | 'value';

interface RuleText {
  readonly body: string;
  readonly needs: readonly JsonRule[];
}

const JSON_RULES: ReadonlyMap<JsonRule | string, RuleText> = new Map<JsonRule, RuleText>([
  // At most one space, or a line break with its indentation.
  ['ws', { body: String.raw`| " " | "\n" [ \t]{0,20}`, needs: [] }],
  [
    'char',
    {
      body: String.raw`[^"\\\x00-\x1F] | "\\" (["\\/bfnrt] | "u" ([0-9a-cA-CefEF] [0-9a-fA-F]{3} | [dD] [0-7] [0-9a-fA-F]{2}))`,
      needs: [],
    },
  ],
  ['string', { body: String.raw`"\"" char* "\""`, needs: ['char'] }],
  // Fifteen digits are exact in every reader.
  ['integer', { body: '"0" | "-"? [1-9] [0-9]{0,14}', needs: [] }],
  [
    'number',
    {
      body: '"-"? ("0" | [1-9] [0-9]{0,15}) ("." [0-9]{1,20})? ([eE] [-+]? [0-9]{1,2})?',
      needs: [],
    },
  ],
  ['boolean', { body: '"true" | "false"', needs: [] }],
  ['null', { body: '"null"', needs: [] }],
  ['array', { body: '"[" ws (value ("," ws value)* ws)? "]"', needs: ['ws', 'value'] }],
  [
    'object',
    {
      body: '"{" ws (string ":" ws value ("," ws string ":" ws value)* ws)? "}"',
      needs: ['ws', 'string', 'value'],
    },
  ],
  [
    'value',
    {
      body: 'object | array | string | number | boolean | null',
      needs: ['object', 'array', 'string', 'number', 'boolean', 'null'],
    },
  ],
]);

/** A trie, so that texts with a common beginning share its rules: the engine then has one path until they differ. */
interface TrieNode {
  readonly next: Map<string, TrieNode>;
  ends: boolean;
}

/** Exactly these texts. */
export function anyOfTexts(texts: readonly string[], builder: GrammarBuilder): string {
  return written(trieOf(texts), builder);
}

/** Any text of these characters except the given ones; given texts with other characters are ignored. */
export function noneOfTexts(
  texts: readonly string[],
  { characters, builder }: { readonly characters: CharacterSet; readonly builder: GrammarBuilder },
): string {
  const anything = repeated(characterClass(characters), 0, undefined);
  const other = ({ next, ends }: TrieNode): string => {
    const differs = difference(characters, charactersOf([...next.keys()].join('')));
    const ways = [
      ...(ends ? [] : ['']),
      sequence(characterClass(differs), anything),
      ...Array.from(next, ([character, branch]) => sequence(literal(character), other(branch))),
    ];
    return builder.add('key-not', alternatives(ways));
  };
  return texts.length === 0 ? anything : other(trieOf(texts));
}

function trieOf(texts: readonly string[]): TrieNode {
  const root: TrieNode = { next: new Map(), ends: false };
  for (const text of texts) {
    let branch = root;
    for (const character of text) {
      const next = branch.next.get(character) ?? { next: new Map(), ends: false };
      branch.next.set(character, next);
      branch = next;
    }
    branch.ends = true;
  }
  return root;
}

/** A run without a choice is one literal; a choice is a rule, so that nothing is nested. */
function written(start: TrieNode, builder: GrammarBuilder): string {
  let run = '';
  let branch = start;
  while (branch.next.size === 1 && !branch.ends) {
    const [[character, next]] = [...branch.next] as [[string, TrieNode]];
    run += character;
    branch = next;
  }
  const head = run === '' ? '' : literal(run);
  if (branch.next.size === 0) return head;
  const ways = Array.from(branch.next, ([character, next]) =>
    sequence(literal(character), written(next, builder)),
  );
  return sequence(head, builder.add('one-of', alternatives(branch.ends ? [...ways, ''] : ways)));
}

export function writeGbnf({ rules, root }: FlatGrammar): string {
  const nameOf = (index: number): string => (index === root ? 'root' : `r${index}`);
  const written = (symbols: Alternative): string =>
    sequence(
      ...symbols.map((symbol) =>
        symbol.kind === 'characters' ? characterClass(symbol.set) : nameOf(symbol.index),
      ),
    );
  const lines = rules.map(({ alternatives: ways }, index) => {
    // Behind an empty rule, the engine would read on in the next line.
    const body = alternatives(ways.map(written));
    return `${nameOf(index)} ::= ${body === '' ? '""' : body}`;
  });
  return `${lines.join('\n')}\n`;
}

const NAMED_ESCAPES: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
};

/** A text as it stands, in quotes. */
export function literal(text: string): string {
  const escaped = text.replace(/["\\]|\p{Cc}/gu, (character) => NAMED_ESCAPES[character] ?? hex(character));
  return `"${escaped}"`;
}

/** One character of the set, which must not be empty. */
export function characterClass(set: CharacterSet): string {
  const ranges = set.map(({ from, to }) =>
    from === to ? classCharacter(from) : `${classCharacter(from)}-${classCharacter(to)}`,
  );
  return `[${ranges.join('')}]`;
}

/** Alternatives of a rule. An empty one comes first: behind the last bar, the engine would read on in the next line. */
export function alternatives(parts: readonly string[]): string {
  const filled = parts.filter((part) => part !== '');
  return (filled.length < parts.length ? ['', ...filled] : filled).join(' | ');
}

export function choice(parts: readonly string[]): string {
  return parts.length === 1 ? (parts[0] as string) : `(${alternatives(parts)})`;
}

/** `max` undefined: unlimited. */
export function repeated(part: string, min: number, max: number | undefined): string {
  if (max === 0) return '';
  if (min === 1 && max === 1) return part;
  if (max === undefined) return `${part}${min === 0 ? '*' : min === 1 ? '+' : `{${min},}`}`;
  if (min === 0 && max === 1) return `${part}?`;
  return `${part}{${min === max ? min : `${min},${max}`}}`;
}

/** The parts that are not empty, one after the other. */
export function sequence(...parts: readonly string[]): string {
  return parts.filter((part) => part !== '').join(' ');
}

function classCharacter(codePoint: number): string {
  const character = String.fromCodePoint(codePoint);
  if ('[]-^"\\'.includes(character) || codePoint < 0x20 || codePoint > 0x7e) return hex(character);
  return character;
}

function hex(character: string): string {
  const codePoint = character.codePointAt(0) as number;
  const [letter, length] = codePoint <= 0xff ? ['x', 2] : codePoint <= 0xffff ? ['u', 4] : ['U', 8];
  return `\\${letter}${codePoint
    .toString(16)
    .toUpperCase()
    .padStart(length as number, '0')}`;
}
