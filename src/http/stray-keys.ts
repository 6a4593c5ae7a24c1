/**
 * Wrong keys that callers send beside their valid one, as clients with two settings for a key do, always the same: each is a guess only the
 * first time. Owns the digests of a few for each caller; no text of a key.
 */
import { createHash } from 'node:crypto';
import type { Caller } from '../core/caller.ts';

const KEPT_PER_CALLER = 16;

export class StrayKeys {
  readonly #known = new WeakMap<Caller, string[]>();

  has(caller: Caller, key: string): boolean {
    return this.#known.get(caller)?.includes(digestOf(key)) === true;
  }

  note(caller: Caller, key: string): void {
    const known = this.#known.get(caller) ?? [];
    this.#known.set(caller, [...known.slice(1 - KEPT_PER_CALLER), digestOf(key)]);
  }
}

function digestOf(key: string): string {
  return createHash('sha256').update(key).digest('base64');
}
