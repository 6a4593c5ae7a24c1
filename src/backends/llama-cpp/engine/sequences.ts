/**
 * The sequences of the context: what each has evaluated, a decode step over several, and the pool that lends them. A
 * sequence keeps what it evaluated after its request has ended, so that a prompt with the same prefix need not be
 * evaluated again. Invariants: a sequence's list of tokens is what the context really holds, or empty; each sequence is
 * lent to one generation at a time.
 */
import type { NativeContext, Token } from './library.ts';
import type { Sampler } from './sampler.ts';

/** Cached prefixes are reused within a scope only; `undefined` is one scope as well. */
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

  /** How many of the prompt’s first tokens are already evaluated here. */
  sharedWith(prompt: readonly Token[], scope: CacheScope): number {
    if (scope !== this.#scope) return 0;
    const max = Math.min(prompt.length, this.#tokens.length);
    let shared = 0;
    while (shared < max && prompt[shared] === this.#tokens[shared]) shared += 1;
    return shared;
  }

  /** Drops all but the first `length` tokens; all of them where the model’s memory cannot be cut. Returns what is left. */
  keep(length: number, scope: CacheScope): number {
    this.#scope = scope;
    const held = this.#tokens.length;
    if (length >= held) return held;
    // Where a sliding window has dropped the first cells, the remaining ones do not continue a shorter prefix.
    const isWhole = length > 0 && this.#context.getSequenceKvCacheMinPosition(this.id) === 0;
    if (isWhole && this.#context.removeTokenCellsFromSequence(this.id, length, held)) {
      this.#tokens.length = length;
      return length;
    }
    this.clear();
    return 0;
  }

  /** Replaces what it holds by what `donor` holds. */
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

/** What one sequence contributes to a decode step. */
export interface Chunk {
  readonly sequence: Sequence;
  /** At least one; they follow what the sequence holds. */
  readonly tokens: readonly Token[];
  /** A token is chosen after the last one. */
  readonly samples: boolean;
}

const NO_LOGITS = new Uint32Array();

/** Evaluates all chunks as one batch. Returns where the logits of each chunk are, or `undefined` where none are wanted. */
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

/** A shorter prefix is evaluated faster than it is copied: a copy is of a sequence’s whole memory. */
const MIN_COPIED_TOKENS = 32;
const MIN_COPIED_SHARE_OF_CONTEXT = 1 / 64;
/** A sequence is taken over for its prefix only if the prompt reuses at least this share of what it holds. */
const MIN_REUSED_SHARE = 0.5;

/** Where a generation runs, and the sequence whose prefix is to be copied there first. */
interface Placement {
  readonly sequence: Sequence;
  readonly donor?: Sequence;
}

export class SequencePool {
  readonly #all: readonly Sequence[];
  readonly #minCopiedTokens: number;
  /** Least recently used first. */
  readonly #idle: Sequence[];
  /** The ids of the others. */
  readonly #lent = new Set<number>();
  readonly #contextSize: number;

  constructor(sequences: readonly Sequence[], contextSize: number) {
    this.#contextSize = contextSize;
    this.#minCopiedTokens = Math.max(MIN_COPIED_TOKENS, contextSize * MIN_COPIED_SHARE_OF_CONTEXT);
    this.#all = sequences;
    this.#idle = [...sequences];
  }

  /** Part of the memory for tokens that those who run hold, 0 to 1; a prefix that is only kept gives way to whoever needs it. */
  get used(): number {
    let held = 0;
    for (const sequence of this.#all) if (this.#lent.has(sequence.id)) held += sequence.length;
    return held / (this.#all.length * this.#contextSize);
  }

  get hasIdle(): boolean {
    return this.#idle.length > 0;
  }

  /**
   * 1. The idle sequence that holds the longest prefix of the prompt, if the prompt reuses most of what it holds and no
   *    other sequence has much more to offer.
   * 2. Otherwise one beside those that run, since llama.cpp computes neighbours together (eight of them in half the
   *    time); of these the least recently used.
   * 3. With it, the sequence, running or idle, whose prefix is worth a copy.
   */
  take(prompt: readonly Token[], scope: CacheScope): Placement | undefined {
    const own = longestPrefix(this.#idle, prompt, scope);
    if (own === undefined) return undefined;
    const any = longestPrefix(this.#all, prompt, scope) ?? own;
    const isReused = own.shared > 0 && own.shared >= own.sequence.length * MIN_REUSED_SHARE;
    if (isReused && any.shared - own.shared < this.#minCopiedTokens) return this.#lend(own.sequence);
    const spare = this.#spare(any.shared > 0 ? any.sequence : undefined);
    const target = isReused || spare === undefined ? own.sequence : spare;
    const shared = target.sharedWith(prompt, scope);
    const isCopied = any.sequence !== target && any.shared - shared >= this.#minCopiedTokens;
    return this.#lend(target, isCopied ? any.sequence : undefined);
  }

  giveBack(sequence: Sequence): void {
    this.#lent.delete(sequence.id);
    this.#idle.push(sequence);
  }

  /** One to be overwritten: another than the useful one, if there is any. */
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

/** Of several equal ones the first. */
function longestPrefix(
  sequences: readonly Sequence[],
  prompt: readonly Token[],
  scope: CacheScope,
): { readonly sequence: Sequence; readonly shared: number } | undefined {
  let best: { sequence: Sequence; shared: number } | undefined;
  for (const sequence of sequences) {
    const shared = sequence.sharedWith(prompt, scope);
    if (best === undefined || shared > best.shared) best = { sequence, shared };
  }
  return best;
}
