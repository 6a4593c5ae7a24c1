/**
 * The keys that open the door, by the digest of their text: an open-addressed table. With many keys a look-up waits for memory: here all
 * that it needs is found by one number, so that it waits once for all of it. Invariant: some slots are free.
 */
import type { Caller } from '../core/caller.ts';
import type { Milliseconds } from '../core/clock.ts';
import { DIGEST_BYTES, isDigest } from './key-text.ts';

export type KeyVerdict =
  | { readonly kind: 'known'; readonly caller: Caller }
  /** `replaced`: the key has another secret by now. `unreadable`: nobody can tell what it may do. */
  | { readonly kind: 'revoked' | 'expired' | 'replaced' | 'unreadable'; readonly caller: Caller }
  | { readonly kind: 'unknown' };

type KnownVerdict = Extract<KeyVerdict, { readonly kind: 'known' }>;

export interface HeldKey {
  /** As `digestOfKey` gives it. */
  readonly digest: string;
  readonly known: KnownVerdict;
  /** Since the Unix epoch. */
  readonly endsAt: Milliseconds;
  /** From `endsAt` on. */
  readonly ended: KeyVerdict;
}

const MAX_TAKEN = 0.8;

export class HeldKeys {
  #size = 0;
  /** Slots that are not free: those of dropped digests still lead to what lies behind them. */
  #taken = 0;
  #mask = 0;
  /** 0: nothing is there. */
  #tags = new Int32Array(0);
  #digests = new Uint8Array(0);
  #endsAt = new Float64Array(0);
  /** Undefined in both: what was there has been dropped. */
  #known: (KnownVerdict | undefined)[] = [];
  #ended: (KeyVerdict | undefined)[] = [];

  /** Of equal digests the last is held. */
  constructor(keys: readonly HeldKey[]) {
    this.#makeTables(keys.length);
    for (const key of keys) this.put(key);
  }

  /** How many digests. */
  get size(): number {
    return this.#size;
  }

  /** Undefined: none. The time it takes tells nothing about a key: nobody can choose the digest of what is sent. */
  find(digest: string, now: Milliseconds): KeyVerdict | undefined {
    const slot = this.#slotOf(digest);
    // All three are found by the same number, and so are fetched at the same time.
    const known = this.#known[slot];
    return (this.#endsAt[slot] as number) > now ? known : this.#ended[slot];
  }

  /** In the place of one with the same digest. */
  put({ digest, known, endsAt, ended }: HeldKey): void {
    if (this.#taken + 1 > MAX_TAKEN * this.#tags.length) this.#makeRoom();
    const slot = this.#slotOf(digest);
    if (this.#tags[slot] === 0) {
      this.#taken += 1;
      this.#tags[slot] = tagOf(digest);
      for (let at = 0; at < DIGEST_BYTES; at += 1)
        this.#digests[slot * DIGEST_BYTES + at] = digest.charCodeAt(at);
    }
    if (this.#known[slot] === undefined) this.#size += 1;
    this.#endsAt[slot] = endsAt;
    this.#known[slot] = known;
    this.#ended[slot] = ended;
  }

  drop(digest: string): void {
    const slot = this.#slotOf(digest);
    if (this.#known[slot] === undefined) return;
    this.#size -= 1;
    this.#known[slot] = undefined;
    this.#ended[slot] = undefined;
  }

  /** Where the digest is, or would be. */
  #slotOf(digest: string): number {
    const tag = tagOf(digest);
    for (let slot = firstSlotOf(digest) & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const there = this.#tags[slot];
      if (there === 0) return slot;
      if (there === tag && isDigest(this.#digests, slot * DIGEST_BYTES, digest)) return slot;
    }
  }

  /** For as many again, and without what was dropped. */
  #makeRoom(): void {
    const digests = Buffer.from(this.#digests.buffer);
    const [endsAt, knowns, endeds] = [this.#endsAt, this.#known, this.#ended];
    this.#makeTables(2 * this.#size);
    for (const [slot, known] of knowns.entries()) {
      const ended = endeds[slot];
      if (known === undefined || ended === undefined) continue;
      const digest = digests.toString('latin1', slot * DIGEST_BYTES, (slot + 1) * DIGEST_BYTES);
      this.put({ digest, known, endsAt: endsAt[slot] as number, ended });
    }
  }

  #makeTables(keys: number): void {
    const slots = 2 ** Math.ceil(Math.log2((keys + 1) / MAX_TAKEN));
    this.#size = 0;
    this.#taken = 0;
    this.#mask = slots - 1;
    this.#tags = new Int32Array(slots);
    this.#digests = new Uint8Array(slots * DIGEST_BYTES);
    this.#endsAt = new Float64Array(slots);
    this.#known = new Array<KnownVerdict | undefined>(slots).fill(undefined);
    this.#ended = new Array<KeyVerdict | undefined>(slots).fill(undefined);
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
