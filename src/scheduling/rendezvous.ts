/**
 * The home of a prompt: the target that prompts with the same beginning go to, found by rendezvous hashing. No state is kept or
 * shared, so several servers of ours with the same targets find the same home; when a target leaves, only its own prompts move, and
 * they return with it (decision 0055).
 */

/** What hashing needs of a target. */
export interface HashedTarget {
  /** Of its name. */
  readonly hash: number;
  /** Its part of the prompts, relative to the others. */
  readonly share: number;
}

/** A target may have this many times its part of the requests, and one more, before prompts go to their next home. */
const MAX_EXCESS = 1.25;

/** FNV-1a, 32 bits, and mixed: names that differ in one digit are common. */
export function hashOfName(name: string): number {
  let hash = 0x811c9dc5 | 0;
  for (let index = 0; index < name.length; index += 1)
    hash = Math.imul(hash ^ name.charCodeAt(index), 0x01000193);
  return mixed(hash);
}

/** A number in (0, 1) for each pair of target and prompt, as if drawn at random. */
export function draw({ hash }: HashedTarget, key: number): number {
  return ((mixed(hash ^ key) >>> 0) + 0.5) / 0x1_0000_0000;
}

/** Whether a target suits the prompt better than another, by their draws and shares: so each gets its share of all prompts. */
export function suitsBetter(drawn: number, share: number, otherDrawn: number, otherShare: number): boolean {
  if (share === otherShare) return drawn > otherDrawn;
  return Math.log(drawn) * otherShare > Math.log(otherDrawn) * share;
}

/** Whether a target has so much more to do than its part of all requests that prompts go to their next home. */
export function isCrowded(requests: number, part: number): boolean {
  return requests > MAX_EXCESS * part + 1;
}

function mixed(hash: number): number {
  let bits = hash;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return bits ^ (bits >>> 16);
}
