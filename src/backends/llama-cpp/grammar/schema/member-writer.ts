/**
 * Writes the members of an object: from each declared property on, what may follow, with the comma where something
 * stands before. Where the number of properties matters, a part is written for each number so far.
 */

import type { RuleBook } from '../gbnf/rule-book.ts';
import { alternatives, literal, repeated, sequence } from '../gbnf/text.ts';

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

  /** The next member, whichever it is, and what follows it. */
  #from(position: Position): string | undefined {
    const key = `${position.index} ${position.written}`;
    if (this.#parts.has(key)) return this.#parts.get(key);
    const ways = this.#ways(position);
    const part = ways.length > 1 ? this.#book.add('members', alternatives(ways)) : ways[0];
    this.#parts.set(key, part);
    return part;
  }

  #ways({ index, written }: Position): readonly string[] {
    if (this.#most !== undefined && written >= this.#most) return [];
    const member = this.#members.declared[index];
    if (member === undefined) return this.#further(written);
    const rest = this.#after({ index: index + 1, written: Math.min(written + 1, this.#countUpTo) });
    const skipped = member.required ? undefined : this.#from({ index: index + 1, written });
    return [rest === undefined ? undefined : sequence(member.part, rest), skipped].filter(
      (way) => way !== undefined,
    );
  }

  /** What follows a member. Behind one comma, so that the engine has one way to go on until it has been written. */
  #after({ index, written }: Position): string | undefined {
    const { declared, least } = this.#members;
    const mayEnd = written >= least && declared.slice(index).every(({ required }) => !required);
    const next = this.#from({ index, written });
    if (next === undefined) return mayEnd ? '' : undefined;
    const more = sequence(this.#comma, next);
    return mayEnd ? `${this.#book.add('more', more)}?` : more;
  }

  /** Further properties, at least one, after all declared ones. */
  #further(written: number): readonly string[] {
    const { further, least } = this.#members;
    if (further === undefined) return [];
    const next = this.#book.add('further-next', sequence(this.#comma, further));
    const missing = Math.max(0, least - written - 1);
    return [
      sequence(
        further,
        repeated(next, missing, this.#most === undefined ? undefined : this.#most - written - 1),
      ),
    ];
  }
}
