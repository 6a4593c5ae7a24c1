/** Which keys the page shows: one page of those that fit what was looked for last. It remembers where the pages before began. */
import type { CallOptions, KeyView, listKeys } from '../api.ts';

/** What a person reads, and a page shows at once. */
const PAGE = 200;

export interface ShownKeys {
  readonly keys: readonly KeyView[];
  /** Those that fit and are on the pages before. */
  readonly before: number;
  readonly hasNext: boolean;
  readonly isFiltered: boolean;
  /** The store has none at all. */
  readonly areNone: boolean;
}

interface Looked {
  readonly filter: string;
  readonly withRevoked: boolean;
}

export class KeyPages {
  readonly #list: typeof listKeys;
  #looked: Looked = { filter: '', withRevoked: false };
  /** The `after` of each page behind the first, up to the one that is shown. */
  #afters: readonly string[] = [];
  #next: string | null = null;

  constructor(list: typeof listKeys) {
    this.#list = list;
  }

  /** For others, from their first page on. */
  look(changes: Partial<Looked>): void {
    this.#looked = { ...this.#looked, ...changes };
    this.#afters = [];
    this.#next = null;
  }

  forth(): void {
    if (this.#next !== null) this.#afters = [...this.#afters, this.#next];
    this.#next = null;
  }

  back(): void {
    this.#afters = this.#afters.slice(0, -1);
    this.#next = null;
  }

  /** An answer to what was looked for before is for nobody: its reader has begun to ask anew. */
  async read(options: CallOptions): Promise<ShownKeys> {
    const [looked, afters] = [this.#looked, this.#afters];
    const after = afters.at(-1);
    const { keys, next } = await this.#list({ limit: PAGE, after, ...looked }, options);
    if (this.#looked === looked && this.#afters === afters) this.#next = next;
    const isFiltered = looked.filter.trim() !== '';
    const isEmpty = keys.length === 0 && after === undefined && !isFiltered;
    const areNone = isEmpty && (looked.withRevoked || (await this.#holdsNone(options)));
    return { keys, before: afters.length * PAGE, hasNext: next !== null, isFiltered, areNone };
  }

  async #holdsNone(options: CallOptions): Promise<boolean> {
    const { keys } = await this.#list({ limit: 1, filter: '', withRevoked: true }, options);
    return keys.length === 0;
  }
}
