/**
 * Writes the members of an object: from each declared property on, what may follow, with the comma where something
 * stands before. Where the number of properties matters, a part is written for each number so far.
 */
import { alternatives, literal, repeated, sequence } from './gbnf-text.ts';
import type { RuleBook } from './rule-book.ts';

/** A property as it is written, `"name": value`. */
export interface Member {
  readonly part: string;
  readonly required: boolean;
}

export interface Members {
  readonly declared: readonly Member[];
  /** Any further property; undefined where there are none. */
  readonly further: string | undefined;
  readonly least: number;
  readonly most: number | undefined;
}

interface Position {
  readonly index: number;
  /** Properties before this one, as far as their number matters. */
  readonly written: number;
}

export class MemberWriter {
  readonly #members: Members;
  readonly #book: RuleBook;
  readonly #comma: string;
  /** Parts already written; undefined for a dead end. */
  readonly #parts = new Map<string, string | undefined>();
  /** Beyond this many it makes no difference how many there are. */
  readonly #countUpTo: number;
  /** The bound that can still be exceeded. */
  readonly #most: number | undefined;

  constructor(members: Members, book: RuleBook) {
    this.#members = members;
    this.#book = book;
    this.#comma = sequence(literal(','), book.json('ws'));
    const { declared, further, least, most } = members;
    this.#most = further === undefined && most !== undefined && most >= declared.length ? undefined : most;
    this.#countUpTo = Math.max(1, least, this.#most ?? 0);
  }

  /** All members, at least one; undefined where there can be none. */
  write(): string | undefined {
    return this.#from({ index: 0, written: 0 });
  }

  #from(position: Position): string | undefined {
    const key = `${position.index} ${position.written}`;
    if (this.#parts.has(key)) return this.#parts.get(key);
    const ways = this.#ways(position);
    const part = ways.length > 1 ? this.#book.add('members', alternatives(ways)) : ways[0];
    this.#parts.set(key, part);
    return part;
  }

  #ways({ index, written }: Position): readonly string[] {
    const member = this.#members.declared[index];
    if (member === undefined) return this.#end(written);
    const skipped = member.required ? undefined : this.#from({ index: index + 1, written });
    const ways = skipped === undefined ? [] : [skipped];
    if (this.#most !== undefined && written >= this.#most) return ways;
    const rest = this.#from({ index: index + 1, written: Math.min(written + 1, this.#countUpTo) });
    if (rest === undefined) return ways;
    return [sequence(written === 0 ? '' : this.#comma, member.part, rest), ...ways];
  }

  /** After the last declared property: an empty part is the end, no part a dead end. */
  #end(written: number): readonly string[] {
    const { further, least } = this.#members;
    const missing = Math.max(0, least - written);
    const left = this.#most === undefined ? undefined : this.#most - written;
    if (further === undefined || left === 0) return written > 0 && missing === 0 ? [''] : [];
    const next = this.#book.add('further-next', sequence(this.#comma, further));
    if (written > 0) return [repeated(next, missing, left)];
    const others = repeated(next, Math.max(0, missing - 1), left === undefined ? undefined : left - 1);
    return [sequence(further, others)];
  }
}
