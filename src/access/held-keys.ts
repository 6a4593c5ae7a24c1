/**
 * The keys that open the door, by the digest of their text: an open-addressed table that is made once and then only read. With many keys a
 * look-up waits for memory: here all that it needs is found by one number, so that it waits once for all of it.
 */
import type { Caller } from '../core/caller.ts';
import type { Milliseconds } from '../core/clock.ts';
import { DIGEST_BYTES, isDigest } from './key-text.ts';

export type KeyVerdict =
  | { readonly kind: 'known'; readonly caller: Caller }
  /** `replaced`: the key has another secret by now. */
  | { readonly kind: 'revoked' | 'expired' | 'replaced'; readonly caller: Caller }
  | { readonly kind: 'unknown' };

export interface HeldKey {
  /** As `digestOfKey` gives it. */
  readonly digest: string;
  readonly known: KeyVerdict;
  /** Since the Unix epoch. */
  readonly endsAt: Milliseconds;
  /** From `endsAt` on. */
  readonly ended: KeyVerdict;
}

const MAX_TAKEN = 0.8;

export class HeldKeys {
  /** How many digests. */
  readonly size: number;
  readonly #keys: readonly HeldKey[];
  readonly #mask: number;
  /** 0: nothing is there. */
  readonly #tags: Int32Array;
  readonly #digests: Uint8Array;
  readonly #endsAt: Float64Array;
  readonly #known: (KeyVerdict | undefined)[];
  readonly #ended: (KeyVerdict | undefined)[];

  /** Of equal digests the last is held. */
  constructor(keys: readonly HeldKey[]) {
    const slots = 2 ** Math.ceil(Math.log2((keys.length + 1) / MAX_TAKEN));
    this.#keys = keys;
    this.#mask = slots - 1;
    this.#tags = new Int32Array(slots);
    this.#digests = new Uint8Array(slots * DIGEST_BYTES);
    this.#endsAt = new Float64Array(slots);
    this.#known = new Array<KeyVerdict | undefined>(slots).fill(undefined);
    this.#ended = new Array<KeyVerdict | undefined>(slots).fill(undefined);
    let size = 0;
    for (const key of keys) if (this.#put(key)) size += 1;
    this.size = size;
  }

  /** Undefined: none. The time it takes tells nothing about a key: nobody can choose the digest of what is sent. */
  find(digest: string, now: Milliseconds): KeyVerdict | undefined {
    const slot = this.#slotOf(digest);
    // All three are found by the same number, and so are fetched at the same time.
    const known = this.#known[slot];
    return (this.#endsAt[slot] as number) > now ? known : this.#ended[slot];
  }

  /** In the order in which they were given. `now`: since the Unix epoch. */
  callers(now: Milliseconds): readonly Caller[] {
    return this.#keys.flatMap(({ endsAt, known }) =>
      endsAt > now && known.kind === 'known' ? [known.caller] : [],
    );
  }

  /** Where the digest is, or would be: one slot is always free. */
  #slotOf(digest: string): number {
    const tag = tagOf(digest);
    for (let slot = firstSlotOf(digest) & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const there = this.#tags[slot];
      if (there === 0) return slot;
      if (there === tag && isDigest(this.#digests, slot * DIGEST_BYTES, digest)) return slot;
    }
  }

  /** Whether nothing was there. */
  #put({ digest, known, endsAt, ended }: HeldKey): boolean {
    const slot = this.#slotOf(digest);
    const isNew = this.#tags[slot] === 0;
    this.#tags[slot] = tagOf(digest);
    for (let at = 0; at < DIGEST_BYTES; at += 1)
      this.#digests[slot * DIGEST_BYTES + at] = digest.charCodeAt(at);
    this.#endsAt[slot] = endsAt;
    this.#known[slot] = known;
    this.#ended[slot] = ended;
    return isNew;
  }
}

/** A digest's bits are as good as drawn: the first four bytes say where it is looked for, */
function firstSlotOf(digest: string): number {
  return bitsOf(digest, 0);
}

/** and four others whether to look closer. */
function tagOf(digest: string): number {
  return bitsOf(digest, 4) | 1;
}

function bitsOf(digest: string, at: number): number {
  return (
    digest.charCodeAt(at) |
    (digest.charCodeAt(at + 1) << 8) |
    (digest.charCodeAt(at + 2) << 16) |
    (digest.charCodeAt(at + 3) << 24)
  );
}
