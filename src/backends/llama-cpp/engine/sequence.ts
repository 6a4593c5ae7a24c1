/**
 * One sequence of the context: what it has evaluated, for whom, and its sampler. Owns the list of tokens that its cells
 * hold. Invariant: that list is what the context really has, or empty.
 */
import type { Token } from './library.ts';
import type { NativeContext } from './native.ts';
import type { Sampler } from './sampler.ts';

/** Whoever may reuse what was evaluated for another; `undefined` is one scope as well. */
export type CacheScope = string | undefined;

export class Sequence {
  readonly id: number;
  readonly sampler: Sampler;
  readonly #context: NativeContext;
  #tokens: Token[] = [];
  #scope: CacheScope;

  constructor(id: number, context: NativeContext, sampler: Sampler) {
    this.id = id;
    this.#context = context;
    this.sampler = sampler;
  }

  /** Tokens evaluated: the position of the next one. */
  get length(): number {
    return this.#tokens.length;
  }

  /** How many of the prompt’s first tokens are evaluated here already. */
  sharedWith(prompt: readonly Token[], scope: CacheScope): number {
    if (scope !== this.#scope) return 0;
    const most = Math.min(prompt.length, this.#tokens.length);
    let shared = 0;
    while (shared < most && prompt[shared] === this.#tokens[shared]) shared += 1;
    return shared;
  }

  /** Forgets all but the first `length` tokens; all of them where the model’s memory cannot be cut. Gives what is left. */
  keep(length: number, scope: CacheScope): number {
    this.#scope = scope;
    const held = this.#tokens.length;
    if (length >= held) return held;
    // Where a sliding window has dropped the first cells, what is left of them does not continue a shorter beginning.
    const isWhole = length > 0 && this.#context.getSequenceKvCacheMinPosition(this.id) === 0;
    if (isWhole && this.#context.removeTokenCellsFromSequence(this.id, length, held)) {
      this.#tokens.length = length;
      return length;
    }
    this.clear();
    return 0;
  }

  /** Holds then what `donor` holds. */
  async copyFrom(donor: Sequence): Promise<void> {
    this.clear();
    await this.#context.copySequenceStateFromOtherSequence(this.id, donor.id);
    this.#tokens = donor.#tokens.slice();
    this.#scope = donor.#scope;
  }

  clear(): void {
    this.#context.disposeSequence(this.id);
    this.#tokens = [];
  }

  /** The context has evaluated these after the ones before. */
  extend(tokens: readonly Token[]): void {
    for (const token of tokens) this.#tokens.push(token);
  }
}
