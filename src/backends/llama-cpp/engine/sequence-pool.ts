/**
 * The engine's sequences. A sequence keeps what it evaluated after its request has ended, so that a prompt that
 * begins alike need not be evaluated again. Owns which sequences are idle; each is lent to one generation at a time.
 */
import type { Token } from './library.ts';
import type { CacheScope, Sequence } from './sequence.ts';

/** A beginning that is shorter is evaluated sooner than it is copied: a copy is of all that a sequence has room for. */
const WORTH_COPYING_TOKENS = 32;
const WORTH_COPYING_SHARE_OF_CONTEXT = 1 / 64;
/** Of what a sequence holds, so much must be of use before the rest of it may be given up. */
const WORTH_TAKING_SHARE = 0.5;

/** Where a generation runs, and the sequence whose beginning is to be copied there first. */
export interface Place {
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
  take(prompt: readonly Token[], scope: CacheScope): Place | undefined {
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

  #lend(sequence: Sequence, donor?: Sequence): Place {
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
