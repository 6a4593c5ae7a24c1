/**
 * Who gets a slot in place of the first in order: one of the next few whose prompt continues what the first would overwrite
 * there. Nobody waits for such a one, and each is overtaken `maxOvertakes` times at most, never when its time is short, and
 * only by flows that are ahead of the first in line by no more than that many requests: what they get early they pay later.
 */
import type { Milliseconds } from '../core/clock.ts';
import type { IdlePrefixes } from './idle-prefixes.ts';
import { lengthOf, type PrefixFingerprint, sharedCharacters } from './prefix-fingerprint.ts';
import type { Waiting } from './waiting.ts';

/** So many of the next in order are looked at. */
const LOOKAHEAD = 8;
/** What must be gained: some 64 tokens, or about a fifth of a second on two cores. */
const SMALLEST_GAIN_CHARACTERS = 256;

export interface FreeSlot {
  /** What its target's idle slots hold. */
  readonly idle: IdlePrefixes;
  /** The first in order and those behind it, so many in all. */
  readonly upcoming: (count: number) => readonly Waiting[];
  /** There is room for it at this target. */
  readonly fits: (candidate: Waiting) => boolean;
  /** How long it may hold the slot, on the safe side. */
  readonly longestMs: (candidate: Waiting) => Milliseconds;
  readonly now: Milliseconds;
}

export class Overtaking {
  readonly #maxOvertakes: number;

  constructor({ maxOvertakes }: { readonly maxOvertakes: number }) {
    this.#maxOvertakes = maxOvertakes;
  }

  /** 1. what would the first overwrite? 2. who of the next continues most of it? 3. all before that one are overtaken. */
  choose(first: Waiting, slot: FreeSlot): Waiting {
    if (first.overtaken >= this.#maxOvertakes) return first;
    const { held, shared } = slot.idle.chosenFor(first.prefix);
    let toBeat = shared + SMALLEST_GAIN_CHARACTERS - 1;
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
    candidate: Waiting,
    { first, held, leastLeftMs }: { first: Waiting; held: PrefixFingerprint; leastLeftMs: Milliseconds },
    { idle, fits, longestMs }: FreeSlot,
  ): boolean {
    const aheadTokens = (candidate.flow?.account ?? 0) - (first.flow?.account ?? 0);
    if (aheadTokens > this.#maxOvertakes * candidate.chargedTokens || !fits(candidate)) return false;
    if (longestMs(candidate) >= leastLeftMs) return false;
    // Otherwise it continues another slot still better, and this one is not its.
    return idle.chosenFor(candidate.prefix).held === held;
  }
}
