/**
 * Prefix affinity: a free slot may go to one of the next few requests whose prompt continues what the first in order would overwrite
 * there; where targets manage their caches themselves, to one whose home the target is, if it is not the home of the first. The slot
 * never waits for such a request. A request is overtaken at most `maxOvertakes` times, not when its time is short, and
 * only by flows that are ahead of it by at most that many requests: what they get early they pay for later (decision 0015).
 */
import type { Milliseconds } from '../core/clock.ts';
import { lengthOf, NO_PREFIX, type PrefixFingerprint, sharedCharacters } from './prefix-fingerprint.ts';
import type { QueuedRequest } from './queued-request.ts';

/** Requests that are looked at, the first in order included. */
const LOOKAHEAD = 8;
/** The least gain that counts: about 64 tokens, or a fifth of a second on two cores. */
const MIN_GAIN_CHARACTERS = 256;

interface FreeSlot {
  /** The first in order and those behind it, `count` in all. */
  readonly upcoming: (count: number) => readonly QueuedRequest[];
  /** There is room for it at this target. */
  readonly fits: (candidate: QueuedRequest) => boolean;
  /** How long it may hold the slot, on the safe side. */
  readonly longestMs: (candidate: QueuedRequest) => Milliseconds;
  readonly now: Milliseconds;
}

interface CachingSlot extends FreeSlot {
  /** The prefixes in the target's idle slots. */
  readonly idle: IdlePrefixes;
}

interface SlotOfHome extends FreeSlot {
  /** The target is where such prompts go; undefined: it makes no difference where this one goes. */
  readonly isHome: (candidate: QueuedRequest) => boolean | undefined;
}

export class PrefixAffinity {
  readonly #maxOvertakes: number;

  constructor({ maxOvertakes }: { readonly maxOvertakes: number }) {
    this.#maxOvertakes = maxOvertakes;
  }

  /** 1. What would the first overwrite? 2. Which of the next continues most of it? 3. All before that one are overtaken. */
  choose(first: QueuedRequest, slot: CachingSlot): QueuedRequest {
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

  /** The first of the next whose home the target is. All before that one are overtaken. */
  chooseOfHome(first: QueuedRequest, slot: SlotOfHome): QueuedRequest {
    if (first.overtaken >= this.#maxOvertakes || slot.isHome(first) !== false) return first;
    const upcoming = slot.upcoming(LOOKAHEAD);
    let leastLeftMs = first.startBy - slot.now;
    for (let index = 1; index < upcoming.length; index += 1) {
      const candidate = upcoming[index] ?? first;
      if (slot.isHome(candidate) === true && this.#isFair(candidate, { first, leastLeftMs }, slot)) {
        for (let before = 0; before < index; before += 1) (upcoming[before] ?? first).overtaken += 1;
        return candidate;
      }
      if (candidate.overtaken >= this.#maxOvertakes) return first;
      leastLeftMs = Math.min(leastLeftMs, candidate.startBy - slot.now);
    }
    return first;
  }

  #mayOvertake(
    candidate: QueuedRequest,
    {
      first,
      held,
      leastLeftMs,
    }: { first: QueuedRequest; held: PrefixFingerprint; leastLeftMs: Milliseconds },
    slot: CachingSlot,
  ): boolean {
    // Otherwise another slot suits it better.
    return (
      this.#isFair(candidate, { first, leastLeftMs }, slot) &&
      slot.idle.chosenFor(candidate.prefix).held === held
    );
  }

  #isFair(
    candidate: QueuedRequest,
    { first, leastLeftMs }: { first: QueuedRequest; leastLeftMs: Milliseconds },
    { fits, longestMs }: FreeSlot,
  ): boolean {
    const aheadTokens = (candidate.flow?.account ?? 0) - (first.flow?.account ?? 0);
    if (aheadTokens > this.#maxOvertakes * candidate.chargedTokens || !fits(candidate)) return false;
    return longestMs(candidate) < leastLeftMs;
  }
}

/**
 * The prompts that a target's idle slots served last, as far as the scheduler knows. Chooses a slot as the engine does: the one that
 * shares the longest prefix with a prompt, of equals the least recently used.
 * Invariant: one entry for each idle slot; NO_PREFIX where nothing is known.
 */
interface ChosenPrefix {
  readonly held: PrefixFingerprint;
  /** Characters shared with the prompt it was chosen for. */
  readonly shared: number;
}

export class IdlePrefixes {
  /** Least recently used first. */
  readonly #idle: PrefixFingerprint[] = [];

  /** The prefix that a prompt would overwrite. */
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

  /** Adapts to that many idle slots: drops the least recently used, adds unknown ones. */
  fit(slots: number): void {
    const surplus = this.#idle.length - Math.max(0, slots);
    if (surplus > 0) this.#idle.splice(0, surplus);
    for (let missing = -surplus; missing > 0; missing -= 1) this.#idle.unshift(NO_PREFIX);
  }
}
