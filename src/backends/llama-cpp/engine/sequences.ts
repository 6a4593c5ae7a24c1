/**
 * The engine's sequences. A sequence keeps what it evaluated after its request has ended, so that a prompt that
 * begins alike need not be evaluated again. Owns which sequences are idle; each is lent to one generation at a time.
 */

import type { Token } from './library.ts';
import type { NativeContext } from './native.ts';
import type { Sampler } from './sampler.ts';

/** A beginning that is shorter is evaluated sooner than it is copied: a copy is of all that a sequence has room for. */
const WORTH_COPYING_TOKENS = 32;
const WORTH_COPYING_SHARE_OF_CONTEXT = 1 / 64;
/** Of what a sequence holds, so much must be of use before the rest of it may be given up. */
const WORTH_TAKING_SHARE = 0.5;

/** Where a generation runs, and the sequence whose beginning is to be copied there first. */
interface Placement {
  readonly sequence: Sequence;
  readonly donor?: Sequence;
}

interface Match {
  readonly sequence: Sequence;
  readonly shared: number;
}

export class SequencePool {
  readonly #all: readonly Sequence[];
  /** Tokens. */
  readonly #worthCopying: number;
  /** Least recently used first. */
  readonly #idle: Sequence[];
  /** The numbers of the others. */
  readonly #lent = new Set<number>();

  constructor(sequences: readonly Sequence[], contextSize: number) {
    this.#worthCopying = Math.max(WORTH_COPYING_TOKENS, contextSize * WORTH_COPYING_SHARE_OF_CONTEXT);
    this.#all = sequences;
    this.#idle = [...sequences];
  }

  get hasIdle(): boolean {
    return this.#idle.length > 0;
  }

  /**
   * The idle sequence that holds the longest beginning of the prompt, where that is most of what it holds. Else one
   * beside those that run, as llama.cpp computes neighbours together (eight of them in half the time), of these the
   * least recently used; and the sequence, running or idle, whose beginning is worth a copy.
   */
  take(prompt: readonly Token[], scope: CacheScope): Placement | undefined {
    const own = longest(this.#idle, prompt, scope);
    if (own === undefined) return undefined;
    const any = longest(this.#all, prompt, scope) ?? own;
    const isOwnUse = own.shared > 0 && own.shared >= own.sequence.length * WORTH_TAKING_SHARE;
    if (isOwnUse && any.shared - own.shared < this.#worthCopying) return this.#lend(own.sequence);
    const spare = this.#spare(any.shared > 0 ? any.sequence : undefined);
    const place = isOwnUse || spare === undefined ? own.sequence : spare;
    const shared = place.sharedWith(prompt, scope);
    const isWorthIt = any.sequence !== place && any.shared - shared >= this.#worthCopying;
    return this.#lend(place, isWorthIt ? any.sequence : undefined);
  }

  giveBack(sequence: Sequence): void {
    this.#lent.delete(sequence.id);
    this.#idle.push(sequence);
  }

  /** To be overwritten: rather not the one that holds what is of use. */
  #spare(useful: Sequence | undefined): Sequence | undefined {
    const spare = this.#idle.filter((idle) => idle !== useful);
    return spare.find(({ id }) => this.#lent.has(id - 1) || this.#lent.has(id + 1)) ?? spare[0] ?? useful;
  }

  #lend(sequence: Sequence, donor?: Sequence): Placement {
    this.#idle.splice(this.#idle.indexOf(sequence), 1);
    this.#lent.add(sequence.id);
    return donor === undefined ? { sequence } : { sequence, donor };
  }
}

/** Among equals the first. */
function longest(
  sequences: readonly Sequence[],
  prompt: readonly Token[],
  scope: CacheScope,
): Match | undefined {
  let best: Match | undefined;
  for (const sequence of sequences) {
    const shared = sequence.sharedWith(prompt, scope);
    if (best === undefined || shared > best.shared) best = { sequence, shared };
  }
  return best;
}

/**
 * One sequence of the context: what it has evaluated, for whom, and its sampler. Owns the list of tokens that its cells
 * hold. Invariant: that list is what the context really has, or empty.
 */

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

/** One decode step of the whole engine: the chunks of all that take part, evaluated as one batch. Keeps no state. */

export interface Chunk {
  readonly sequence: Sequence;
  /** At least one; they follow what the sequence holds. */
  readonly tokens: readonly Token[];
  /** A token is to be chosen after the last one. */
  readonly samples: boolean;
}

const NO_LOGITS = new Uint32Array();

/** Where each chunk's logits are, for chunks that sample; `undefined` for the others. */
export async function decode(
  context: NativeContext,
  chunks: readonly Chunk[],
): Promise<readonly (number | undefined)[]> {
  context.initBatch(chunks.reduce((sum, { tokens }) => sum + tokens.length, 0));
  const logitIndexes = chunks.map(({ sequence, tokens, samples }) => {
    const wanted = samples ? Uint32Array.of(tokens.length - 1) : NO_LOGITS;
    return context.addToBatch(sequence.id, sequence.length, Uint32Array.from(tokens), wanted)[0];
  });
  await context.decodeBatch();
  for (const { sequence, tokens } of chunks) sequence.extend(tokens);
  return logitIndexes;
}
