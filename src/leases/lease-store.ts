/**
 * What replicas ask of the store that divides the slots of the targets they share. LeaseLedger is its rule in TypeScript; a Valkey does
 * the same in a script (stores/valkey/lease-script.ts).
 *
 * The protocol, of each target:
 *
 * - A replica holds a block of slots for the time of a lease. It asks for the next lease long before that ends, and names what it keeps:
 *   until the answer is there, it uses no more than that. The answer's block is what it may use from then on.
 * - The store never takes a slot away from a lease that lasts. It says what would be fair, and the replica gives back what is more, as
 *   soon as it does not use it. So the blocks together never exceed the target's slots, whichever message is lost or late.
 * - A lease ends by the store's clock a lease after its request came, by the replica's own clock a lease after that was sent, less a
 *   margin: earlier. No clock is compared with another one.
 * - Each new lease has a token, greater than all before. A replica whose lease the store has ended names a token that the store does not
 *   know any more: what it has in flight is counted, and it has nothing to use until it gets a new block.
 */
import type { Milliseconds } from '../core/clock.ts';

export interface SlotClaim {
  /** The same name in all replicas. */
  readonly target: string;
  /** As many as the target has, as this replica knows it. Of replicas that disagree, the lowest counts. */
  readonly slots: number;
  /** Of its block; until it has the answer, it begins nothing that makes it use more. */
  readonly keeps: number;
  /** What runs there for this replica; more than it keeps where that was begun under another lease, or a greater block. */
  readonly used: number;
  /** That, and what waits for a slot there. */
  readonly needs: number;
  /** What it would like to have in reserve, for what may come. */
  readonly spare: number;
  /** Of the lease that lasts by the replica's own clock; 0: it has none. */
  readonly token: number;
  /** It could not ask the store for so long that it uses an even share without a lease; `keeps` is that. */
  readonly isAlone: boolean;
}

export interface Renewal {
  /** A name of this process alone. */
  readonly replica: string;
  /** Grows with each renewal of the process; one that arrives after a later one counts for nothing. */
  readonly sequence: number;
  readonly leaseMs: Milliseconds;
  readonly claims: readonly SlotClaim[];
}

export interface SlotGrant {
  /** The replica may use that many, for the time of the lease. */
  readonly block: number;
  /** What is fair. Where it is less than the block, the replica is to come down to it. */
  readonly share: number;
  readonly token: number;
  /** How many share the target, this one included. */
  readonly replicas: number;
  /** Its place among them, from 0. */
  readonly rank: number;
  /** As many as the target has, as the store counts them. */
  readonly slots: number;
  /** What runs there for all replicas, as they last said. */
  readonly usedByAll: number;
  /** Not all that others hold may be known: nobody gets more, and not all replicas are counted. */
  readonly isRecovering: boolean;
}

export interface LeaseStore {
  /**
   * The grants, in the order of the claims. Undefined: a later renewal has come before it. Rejects where the store cannot be asked; then
   * it may have been done nevertheless.
   */
  renew(renewal: Renewal): Promise<readonly SlotGrant[] | undefined>;
  /** The replica uses nothing any more. */
  leave(replica: string, targets: readonly string[]): Promise<void>;
  close(): Promise<void>;
}
