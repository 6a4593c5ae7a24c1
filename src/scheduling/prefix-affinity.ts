/**
 * Who gets a slot in place of the first in order: one of the next few whose prompt continues what the first would overwrite
 * there. Nobody waits for such a one, and each is overtaken `maxOvertakes` times at most, never when its time is short, and
 * only by flows that are ahead of the first in line by no more than that many requests: what they get early they pay later.
 */
import type { Milliseconds } from '../core/clock.ts';
import { lengthOf, NO_PREFIX, type PrefixFingerprint, sharedCharacters } from './prefix-fingerprint.ts';
import type { QueuedRequest } from './queued-request.ts';

/** So many of the next in order are looked at. */
const LOOKAHEAD = 8;
/** What must be gained: some 64 tokens, or about a fifth of a second on two cores. */
const MIN_GAIN_CHARACTERS = 256;

interface FreeSlot {
  /** What its target's idle slots hold. */
  readonly idle: IdlePrefixes;
  /** The first in order and those behind it, so many in all. */
  readonly upcoming: (count: number) => readonly QueuedRequest[];
  /** There is room for it at this target. */
  readonly fits: (candidate: QueuedRequest) => boolean;
  /** How long it may hold the slot, on the safe side. */
  readonly longestMs: (candidate: QueuedRequest) => Milliseconds;
  readonly now: Milliseconds;
}

export class PrefixAffinity {
  readonly #maxOvertakes: number;

  constructor({ maxOvertakes }: { readonly maxOvertakes: number }) {
    this.#maxOvertakes = maxOvertakes;
  }

  /** 1. what would the first overwrite? 2. who of the next continues most of it? 3. all before that one are overtaken. */
  choose(first: QueuedRequest, slot: FreeSlot): QueuedRequest {
    if (first.overtaken >= this.#maxOvertakes) return first;
    const { held, shared } = slot.idle.chosenFor(first.prefix);
    let toBeat = shared + MIN_GAIN_CHARACTERS - 1;
    if (lengthOf(held) <= toBeat) return first;
    const upcoming = slot.upcoming(LOOKAHEAD);
    let chosen = 0;
    let leastLeftMs = Number.POSITIVE_INFINITY;
    for (let index = 0; index < upcoming.length; index += 1) {
      const candidate = upcoming[index] ?? first;
      const continues = sharedCharacters(candidate.prefix, held);
      if (
        index > 0 &&
        continues > toBeat &&
        this.#mayOvertake(candidate, { first, held, leastLeftMs }, slot)
      ) {
        chosen = index;
        toBeat = continues;
      }
      if (candidate.overtaken >= this.#maxOvertakes) break;
      leastLeftMs = Math.min(leastLeftMs, candidate.startBy - slot.now);
    }
    for (let index = 0; index < chosen; index += 1) (upcoming[index] ?? first).overtaken += 1;
    return upcoming[chosen] ?? first;
  }

  #mayOvertake(
    candidate: QueuedRequest,
    {
      first,
      held,
      leastLeftMs,
    }: { first: QueuedRequest; held: PrefixFingerprint; leastLeftMs: Milliseconds },
    { idle, fits, longestMs }: FreeSlot,
  ): boolean {
    const aheadTokens = (candidate.flow?.account ?? 0) - (first.flow?.account ?? 0);
    if (aheadTokens > this.#maxOvertakes * candidate.chargedTokens || !fits(candidate)) return false;
    if (longestMs(candidate) >= leastLeftMs) return false;
    // Otherwise it continues another slot still better, and this one is not its.
    return idle.chosenFor(candidate.prefix).held === held;
  }
}

/**
 * What the idle slots of a target hold of the prompts they served last, as far as it can be told from here. Chooses as the
 * engine does: the slot that shares the longest beginning with a prompt, among equals the least recently used.
 * Invariant: as many as there are idle slots; one of which nothing is known holds NO_PREFIX.
 */
interface ChosenPrefix {
  readonly held: PrefixFingerprint;
  /** With the prompt it was chosen for. */
  readonly shared: number;
}

export class IdlePrefixes {
  /** Least recently used first. */
  readonly #idle: PrefixFingerprint[] = [];

  /** What a prompt would take the place of. */
  chosenFor(prefix: PrefixFingerprint): ChosenPrefix {
    let held = this.#idle[0] ?? NO_PREFIX;
    let longest = sharedCharacters(prefix, held);
    for (let index = 1; index < this.#idle.length; index += 1) {
      const candidate = this.#idle[index] ?? NO_PREFIX;
      const shared = sharedCharacters(prefix, candidate);
      if (shared <= longest) continue;
      held = candidate;
      longest = shared;
    }
    return { held, shared: longest };
  }

  take(prefix: PrefixFingerprint): void {
    const index = this.#idle.indexOf(this.chosenFor(prefix).held);
    if (index !== -1) this.#idle.splice(index, 1);
  }

  giveBack(prefix: PrefixFingerprint): void {
    this.#idle.push(prefix);
  }

  /** To that many slots: of more the least recently used are forgotten, of new ones nothing is known. */
  fit(slots: number): void {
    const surplus = this.#idle.length - Math.max(0, slots);
    if (surplus > 0) this.#idle.splice(0, surplus);
    for (let missing = -surplus; missing > 0; missing -= 1) this.#idle.unshift(NO_PREFIX);
  }
}
