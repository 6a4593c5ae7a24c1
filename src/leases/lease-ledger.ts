/**
 * What a lease store does, in TypeScript: the rule that the script in Valkey follows step by step, for tests and simulations. Pure: the
 * store's clock comes in.
 *
 * Invariants, of each target: `sum` is what all replicas hold by leases that last, their blocks or what runs there, if that is more; and no answer makes it greater than the slots.
 * It is greater only where a replica reports that more runs there than its block allows: after it was stopped, or cut off, for longer than
 * its lease, or after the number of slots has fallen.
 */
import type { Milliseconds } from '../core/clock.ts';
import { fairShares } from './fair-shares.ts';
import type { Renewal, SlotClaim, SlotGrant } from './lease-store.ts';

/** After it was new, or everybody's lease had ended, so long nothing is granted beyond what replicas still hold; at least a lease. */
export const MIN_RECOVERY_MS: Milliseconds = 3000;

/** What cannot be divided evenly goes to others after that. */
export const TURN_MS: Milliseconds = 3000;

/**
 * Up to so many replicas, shares are computed for each renewal; beyond, not before so long for each of them has passed since the last
 * time: the work for a target does not grow with the square of the replicas.
 */
export const ALWAYS_DIVIDED_UP_TO = 32;
export const DIVIDED_AFTER_MS_EACH: Milliseconds = 0.25;
export const DIVIDED_AFTER_MS_AT_MOST: Milliseconds = 250;

/** A clock that went back by more is noticed: leases and recoveries end as much earlier, or what a dead replica held would be lost for so long. */
export const NOTICED_STEP_BACK_MS: Milliseconds = 1000;

interface HeldLease {
  readonly endsAt: Milliseconds;
  readonly held: number;
  readonly claim: SlotClaim;
  readonly token: number;
  readonly sequence: number;
}

interface Share {
  readonly share: number;
  readonly rank: number;
}

interface Book {
  readonly leases: Map<string, HeldLease>;
  shares: ReadonlyMap<string, Share>;
  dividedAt: Milliseconds;
  /** The token of the last new lease. */
  token: number;
  sum: number;
  slots: number;
  usedByAll: number;
  /** When it was last written. */
  writtenAt: Milliseconds;
  /** Until then, what was granted before and is not known here may still be used. */
  recoversUntil: Milliseconds;
  run: string;
}

export class LeaseLedger {
  readonly #books = new Map<string, Book>();

  /** `run`: of the server's process and its role; another one may have lost what was written last. */
  renew(
    renewal: Renewal,
    { now, run }: { readonly now: Milliseconds; readonly run: string },
  ): readonly SlotGrant[] | undefined {
    const { replica, sequence, claims } = renewal;
    if (claims.some(({ target }) => this.#isLate(target, replica, sequence))) return undefined;
    return claims.map((claim) => this.#renewOne(claim, renewal, { now, run }));
  }

  leave(replica: string, targets: readonly string[]): void {
    for (const target of targets) {
      const book = this.#books.get(target);
      const lease = book?.leases.get(replica);
      if (book === undefined || lease === undefined) continue;
      book.leases.delete(replica);
      book.sum -= lease.held;
      book.usedByAll -= lease.claim.used;
      book.dividedAt = Number.NEGATIVE_INFINITY;
    }
  }

  /** As a server has it that takes over, or that a simulation goes back to. */
  copy(): LeaseLedger {
    const other = new LeaseLedger();
    for (const [target, book] of this.#books)
      other.#books.set(target, { ...book, leases: new Map(book.leases) });
    return other;
  }

  /** What all replicas hold. */
  sumOf(target: string): number {
    return this.#books.get(target)?.sum ?? 0;
  }

  #isLate(target: string, replica: string, sequence: number): boolean {
    return sequence <= (this.#books.get(target)?.leases.get(replica)?.sequence ?? 0);
  }

  /**
   * 0. What the clock went back by is taken off all times; 1. a store that is new, or may have lost something, or that nobody has asked for a lease's time, recovers; 2. leases that have ended
   * are dropped; 3. the replica holds what it keeps, or uses; 4. the slots are divided; 5. it gets more, up to its share, of what nobody holds.
   */
  #renewOne(
    claim: SlotClaim,
    { replica, sequence, leaseMs }: Renewal,
    { now, run }: { readonly now: Milliseconds; readonly run: string },
  ): SlotGrant {
    const book = this.#books.get(claim.target) ?? this.#opened(claim.target);
    const recoveryMs = Math.max(leaseMs, MIN_RECOVERY_MS);
    const wentBackMs = book.writtenAt - now;
    const isBack = wentBackMs > NOTICED_STEP_BACK_MS;
    if (isBack) moveEnds(book, -wentBackMs);
    book.writtenAt = now;
    if (book.run !== run) book.recoversUntil = now + recoveryMs;
    book.run = run;
    const isDue = isBack || isDivisionDue(book, now) || !book.shares.has(replica);
    if (isDue && dropEnded(book, now)) book.recoversUntil = now + recoveryMs;
    const before = book.leases.get(replica);
    const isKnown = before !== undefined && before.token === claim.token;
    const isBelieved = isKnown || (now < book.recoversUntil && (claim.token > 0 || claim.isAlone));
    const keeps = isBelieved ? claim.keeps : 0;
    const held = Math.max(keeps, claim.used);
    if (!isKnown) book.token = Math.max(book.token, claim.token) + 1;
    const token = isKnown ? before.token : book.token;
    book.sum += held - (before?.held ?? 0);
    book.usedByAll += claim.used - (before?.claim.used ?? 0);
    book.slots = Math.min(book.slots, claim.slots);
    const lease = { endsAt: now + leaseMs, held, claim, token, sequence };
    book.leases.set(replica, lease);
    if (isDue) divide(book, now);
    const { share, rank } = book.shares.get(replica) ?? { share: 0, rank: 0 };
    const isRecovering = now < book.recoversUntil;
    const free = isRecovering ? 0 : Math.max(0, book.slots - book.sum);
    const more = Math.min(free, Math.max(0, share - held));
    book.leases.set(replica, { ...lease, held: held + more });
    book.sum += more;
    // While nobody may take it, giving back serves nobody.
    const fair = isRecovering ? Math.max(share, keeps) : share;
    const { slots, usedByAll } = book;
    // What runs there beyond its block is counted, but does not become a block by that.
    const block = more > 0 ? held + more : keeps;
    return { block, share: fair, token, replicas: book.leases.size, rank, slots, usedByAll, isRecovering };
  }

  #opened(target: string): Book {
    const book: Book = {
      leases: new Map(),
      shares: new Map(),
      dividedAt: Number.NEGATIVE_INFINITY,
      token: 0,
      sum: 0,
      slots: Number.POSITIVE_INFINITY,
      usedByAll: 0,
      writtenAt: Number.NEGATIVE_INFINITY,
      recoversUntil: 0,
      run: '',
    };
    this.#books.set(target, book);
    return book;
  }
}

function isDivisionDue({ leases, dividedAt }: Book, now: Milliseconds): boolean {
  if (leases.size <= ALWAYS_DIVIDED_UP_TO) return true;
  const afterMs = Math.min(DIVIDED_AFTER_MS_AT_MOST, leases.size * DIVIDED_AFTER_MS_EACH);
  return Math.abs(now - dividedAt) >= afterMs;
}

function moveEnds(book: Book, byMs: Milliseconds): void {
  for (const [replica, lease] of book.leases)
    book.leases.set(replica, { ...lease, endsAt: lease.endsAt + byMs });
  book.recoversUntil += byMs;
}

/** True: there were leases, and all have ended. Their replicas may use even shares by now. */
function dropEnded(book: Book, now: Milliseconds): boolean {
  const before = book.leases.size;
  for (const [replica, { endsAt, held, claim }] of book.leases) {
    if (endsAt > now) continue;
    book.leases.delete(replica);
    book.sum -= held;
    book.usedByAll -= claim.used;
  }
  return before > 0 && book.leases.size === 0;
}

function divide(book: Book, now: Milliseconds): void {
  const replicas = [...book.leases.keys()].sort();
  const claims = replicas.flatMap((replica) => book.leases.get(replica)?.claim ?? []);
  book.slots = Math.min(...claims.map(({ slots }) => slots));
  const shares = fairShares(book.slots, claims, Math.floor(now / TURN_MS));
  book.shares = new Map(replicas.map((replica, rank) => [replica, { share: shares[rank] ?? 0, rank }]));
  book.dividedAt = now;
}
