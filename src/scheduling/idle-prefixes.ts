/**
 * What the idle slots of a target hold of the prompts they served last, as far as it can be told from here. Chooses as the
 * engine does: the slot that shares the longest beginning with a prompt, among equals the least recently used.
 * Invariant: as many as there are idle slots; one of which nothing is known holds NO_PREFIX.
 */
import { NO_PREFIX, type PrefixFingerprint, sharedCharacters } from './prefix-fingerprint.ts';

export interface ChosenPrefix {
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
