/** What a simulated fleet is made of, what is asked of it, and what breaks. */
import type { Milliseconds } from '../../core/clock.ts';
import type { SlotSharing } from './fleet-replica.ts';

export interface FleetSetup {
  readonly seed: number;
  readonly replicas: number;
  readonly servers: number;
  readonly slotsPerServer: number;
  readonly sharing: SlotSharing;
  readonly offeredPerSecond: number;
  readonly seconds: number;
  /** Not counted; in the first part of it, until a new lease store grants, no request comes. */
  readonly warmUpSeconds: number;
  /** Mean of an exponential distribution, at least 1. */
  readonly answerTokens: number;
  readonly msPerToken: Milliseconds;
  readonly promptMs: Milliseconds;
  readonly queueTimeoutMs: Milliseconds;
  /** To the lease store, one way; each message takes between half and one and a half of it. */
  readonly networkMs: Milliseconds;
  readonly leaseMs: Milliseconds;
  /** Replica `n` of them gets a part in `n ** skew` of the load; 0: all the same. */
  readonly skew: number;
  readonly clients: number;
  /** The part of the load that the first client offers; undefined: as much as each other one. */
  readonly heavyShare?: number;
  /** Requests belong to so many conversations, whose prefix servers have cached; 0: none does. */
  readonly conversations: number;
  readonly faults?: FleetFaults;
}

export interface FleetFaults {
  /** Of all replicas together, in a second; another one comes in its place. */
  readonly crashesPerSecond?: number;
  readonly pausesPerSecond?: number;
  readonly pauseMs?: Milliseconds;
  /** The lease store answers nothing from then on, for so long; since the beginning. */
  readonly storeAwayFromMs?: Milliseconds;
  readonly storeAwayForMs?: Milliseconds;
}
