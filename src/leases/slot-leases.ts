/**
 * What one replica asks of the lease store, and what it may use of each target now. A pure state machine: every time is an argument, of
 * the replica's own monotonic clock; who calls it sends what it returns. The protocol is described in lease-store.ts.
 *
 * Invariant: what it may use (`allowance`) is never more than what the store counts for it, and is 0 once the lease has ended by its own
 * clock: that is asked at each grant, so that a process which was stopped for longer than its lease grants nothing when it goes on.
 *
 * To use it: `demand` whenever something has changed, `nextRenewalAt` says when to send, `renewal` what, then `answered` or `failed`.
 */
import type { Milliseconds } from '../core/clock.ts';
import { evenShare } from './fair-shares.ts';
import type { Renewal, SlotClaim, SlotGrant } from './lease-store.ts';

export interface LeaseSettings {
  readonly leaseMs: Milliseconds;
  /** While the store cannot be asked: an even share, by the replicas that there were last; or nothing. */
  readonly onFailure: 'share' | 'stop';
  /** After which a renewal counts as failed. */
  readonly timeoutMs: Milliseconds;
}

/** Of one shared target, now. */
export interface TargetDemand {
  readonly target: string;
  readonly slots: number;
  readonly used: number;
  /** Requests that could run there. */
  readonly waiting: number;
}

export interface Allowance {
  readonly slots: number;
  /** From then on it is 0, unless something else comes. */
  readonly until: Milliseconds;
  readonly basis: AllowanceBasis;
}

/** `even_share`: without a lease, because the store cannot be asked. */
export type AllowanceBasis = 'lease' | 'even_share' | 'none';

/** Of a lease: so much earlier than at the store it ends here. Clocks of machines differ by far less in that time. */
const MARGIN = 0.1;
const RENEW_EVERY_MS: Milliseconds = 250;
/** Two renewals are at least that far apart, whatever changes. */
const MIN_SPACING_MS: Milliseconds = 10;
/** While others are to give back slots: again after that, then after twice as long, up to the last. */
const FIRST_POLL_MS: Milliseconds = 30;
const LAST_POLL_MS: Milliseconds = 120;
/** Beside two time-outs. An even share is used only while asking has failed that recently: a process that was stopped knows nothing. */
const FAILURE_COUNTS_MS: Milliseconds = 1000;

interface SharedTarget {
  readonly name: string;
  demand: TargetDemand;
  /** The greatest since the last renewal was sent: a moment's lull gives nothing back. */
  peakNeeds: number;
  sentNeeds: number;
  token: number;
  block: number;
  share: number;
  /** Its block, or what it used when it asked, if that is more. */
  heldAtStore: number;
  leaseEndsAt: Milliseconds;
  /** Since when its leases have followed one another. */
  memberSince: Milliseconds;
  /**
   * What it would use alone, as the store divided of late, the last one last; none: not known, or not all the others know of this replica.
   * The lowest counts: others may not have heard yet that one has left, or come.
   */
  evenShares: readonly KnownShare[];
  /** The last of the store; undefined: there was none. */
  granted: SlotGrant | undefined;
  pollMs: Milliseconds;
}

interface KnownShare {
  readonly share: number;
  readonly since: Milliseconds;
}

interface SentRenewal {
  readonly sequence: number;
  readonly sentAt: Milliseconds;
  /** Those that the answer is for. */
  readonly targets: readonly SharedTarget[];
}

export class SlotLeases {
  readonly #replica: string;
  readonly #settings: LeaseSettings;
  #targets: ReadonlyMap<string, SharedTarget> = new Map();
  #sequence = 0;
  #sent: SentRenewal | undefined;
  #lastSentAt = Number.NEGATIVE_INFINITY;
  /** When the last renewal was sent that the store has answered. */
  #answeredAt = Number.NEGATIVE_INFINITY;
  /** Since when asking has failed without a success; undefined: it has not. */
  #failsSince: Milliseconds | undefined;
  #failedAt = Number.NEGATIVE_INFINITY;

  /** `settings` are read each time. */
  constructor(replica: string, settings: LeaseSettings) {
    this.#replica = replica;
    this.#settings = settings;
  }

  /** Of all shared targets; one that is not named any more is left to its lease's end. */
  demand(demands: readonly TargetDemand[]): void {
    const isSame =
      demands.length === this.#targets.size && demands.every(({ target }) => this.#targets.has(target));
    if (!isSame)
      this.#targets = new Map(
        demands.map((demand) => [demand.target, this.#targets.get(demand.target) ?? newTarget(demand)]),
      );
    for (const demand of demands) {
      const target = this.#targets.get(demand.target);
      if (target === undefined) continue;
      target.demand = demand;
      target.peakNeeds = Math.max(target.peakNeeds, needsOf(demand));
    }
  }

  allowance(name: string, now: Milliseconds): Allowance {
    const target = this.#targets.get(name);
    if (target !== undefined && now < target.leaseEndsAt)
      return { slots: Math.min(target.block, target.share), until: target.leaseEndsAt, basis: 'lease' };
    const slots = target === undefined ? undefined : this.#shareAlone(target, now);
    if (slots === undefined) return NOTHING;
    return { slots, until: this.#failureCountsUntil, basis: 'even_share' };
  }

  has(name: string): boolean {
    return this.#targets.has(name);
  }

  /** What the store last granted of the target, for metrics; undefined: nothing yet. */
  grantedOf(name: string): SlotGrant | undefined {
    return this.#targets.get(name)?.granted;
  }

  /** What it would use without the store; undefined: it does not know how many there are, and would use none. */
  evenShareOf(name: string): number | undefined {
    const target = this.#targets.get(name);
    return target && lowestOf(target.evenShares);
  }

  /** Since when the store could not be asked; undefined: it could. */
  get failsSince(): Milliseconds | undefined {
    return this.#failsSince;
  }

  /** Undefined while one is under way, or there is nothing to ask for. */
  nextRenewalAt(now: Milliseconds): Milliseconds | undefined {
    if (this.#sent !== undefined || this.#targets.size === 0) return undefined;
    let afterMs = RENEW_EVERY_MS;
    // While the store is away, asking again at once gains nothing.
    if (this.#failsSince === undefined)
      for (const target of this.#targets.values())
        afterMs = Math.min(afterMs, this.#renewAfterMs(target, now));
    return this.#lastSentAt + afterMs;
  }

  #renewAfterMs(target: SharedTarget, now: Milliseconds): Milliseconds {
    if (now >= target.leaseEndsAt) return MIN_SPACING_MS;
    const { block, share, heldAtStore, demand, sentNeeds, pollMs } = target;
    const lacks = needsOf(demand) > Math.min(block, share);
    // Others wait for what it does not use any more.
    const givesBack = heldAtStore > Math.max(share, demand.used);
    if (givesBack || (lacks && needsOf(demand) > sentNeeds)) return MIN_SPACING_MS;
    return lacks && block < share ? pollMs : RENEW_EVERY_MS;
  }

  /** To be sent now. Until its answer is there, nothing more than it keeps is used. */
  renewal(now: Milliseconds): Renewal {
    const targets = [...this.#targets.values()];
    const claims = targets.map((target) => this.#claim(target, now));
    this.#sequence += 1;
    this.#sent = { sequence: this.#sequence, sentAt: now, targets };
    this.#lastSentAt = now;
    return {
      replica: this.#replica,
      sequence: this.#sequence,
      leaseMs: this.#settings.leaseMs,
      claims,
    };
  }

  #claim(target: SharedTarget, now: Milliseconds): SlotClaim {
    const { name, demand, peakNeeds: needs, token } = target;
    const { slots, used } = demand;
    const hasLease = now < target.leaseEndsAt;
    const alone = hasLease ? undefined : this.#shareAlone(target, now);
    const spare = Math.max(1, Math.ceil(needs / SPARE_PART));
    const block = hasLease ? Math.min(target.block, target.share, needs + spare) : (alone ?? 0);
    target.block = block;
    target.heldAtStore = Math.max(block, used);
    target.sentNeeds = needs;
    target.peakNeeds = needsOf(demand);
    return {
      target: name,
      slots,
      keeps: block,
      used,
      needs,
      spare,
      token: hasLease ? token : 0,
      isAlone: alone !== undefined,
    };
  }

  /** `grants` undefined: the store had got a later one. An answer to another renewal than the last counts for nothing. */
  answered(sequence: number, grants: readonly SlotGrant[] | undefined): void {
    const sent = this.#sent;
    if (sent?.sequence !== sequence) return;
    this.#sent = undefined;
    this.#answeredAt = sent.sentAt;
    this.#failsSince = undefined;
    for (const [index, target] of sent.targets.entries()) {
      const grant = grants?.[index];
      if (grant !== undefined) this.#granted(target, grant, sent.sentAt);
    }
  }

  #granted(target: SharedTarget, grant: SlotGrant, sentAt: Milliseconds): void {
    const { leaseMs } = this.#settings;
    const { token, block, share, isRecovering } = grant;
    const isOwed = block < needsOf(target.demand) && block <= target.block;
    target.pollMs = isOwed ? Math.min(LAST_POLL_MS, target.pollMs * 2) : FIRST_POLL_MS;
    if (token !== target.token) {
      target.memberSince = sentAt;
      if (!isRecovering) target.evenShares = [];
    }
    // After a lease's time, all others have been told of this replica, or have none any more.
    if (!isRecovering && sentAt - target.memberSince >= leaseMs) {
      const share = evenShare({ ...grant, offset: offsetOf(target.name) });
      const from = sentAt - leaseMs * (1 + MARGIN);
      target.evenShares = withShare(target.evenShares, { share, since: sentAt }, from);
    }
    target.granted = grant;
    target.token = token;
    target.heldAtStore = Math.max(block, target.heldAtStore);
    target.block = block;
    target.share = share;
    target.leaseEndsAt = sentAt + leaseMs * (1 - MARGIN);
  }

  /** It could not be sent, or was not answered in time: the store may have done it or not, or will yet. */
  failed(sequence: number, now: Milliseconds): void {
    if (this.#sent?.sequence !== sequence) return;
    const lastAskedAt = Math.max(this.#answeredAt, this.#failedAt);
    this.#failedAt = this.#sent.sentAt;
    this.#sent = undefined;
    this.#failsSince ??= now;
    // It stood still: meanwhile the store may have given its share to the others, and gone away after that.
    if (now - lastAskedAt > this.#settings.leaseMs)
      for (const target of this.#targets.values()) target.evenShares = [];
  }

  /**
   * The process, or its machine, stood still for longer than its clock says: no lease can be trusted, nor what is answered to a renewal that
   * is under way, nor how many share the slots.
   */
  endLeases(): void {
    for (const target of this.#targets.values()) {
      target.leaseEndsAt = Number.NEGATIVE_INFINITY;
      target.evenShares = [];
    }
    if (this.#sent !== undefined) this.#sent = { ...this.#sent, targets: [] };
    this.#failsSince = undefined;
    this.#failedAt = Number.NEGATIVE_INFINITY;
  }

  /** The clock may have stood still for that long without harm: a part of what leases end earlier here than at the store. */
  get maxUnseenMs(): Milliseconds {
    return (this.#settings.leaseMs * MARGIN) / 2;
  }

  get #failureCountsUntil(): Milliseconds {
    return this.#failedAt + 2 * this.#settings.timeoutMs + FAILURE_COUNTS_MS;
  }

  /**
   * Undefined: it may not use any. Only after asking has failed for longer than a lease: by then the leases of the others have ended too,
   * and if the store is asked again, it knows that it must not grant at once what was used alone.
   */
  #shareAlone({ evenShares }: SharedTarget, now: Milliseconds): number | undefined {
    const { leaseMs, onFailure } = this.#settings;
    if (onFailure === 'stop' || this.#failsSince === undefined) return undefined;
    if (now >= this.#failureCountsUntil || now < this.#failsSince + leaseMs * (1 + MARGIN)) return undefined;
    return lowestOf(evenShares);
  }
}

const NOTHING: Allowance = { slots: 0, until: Number.POSITIVE_INFINITY, basis: 'none' };

/** A part of what it needs is what it would like in reserve. */
const SPARE_PART = 2;

function newTarget(demand: TargetDemand): SharedTarget {
  return {
    name: demand.target,
    demand,
    peakNeeds: 0,
    sentNeeds: 0,
    token: 0,
    block: 0,
    share: 0,
    heldAtStore: 0,
    leaseEndsAt: Number.NEGATIVE_INFINITY,
    memberSince: Number.NEGATIVE_INFINITY,
    evenShares: [],
    granted: undefined,
    pollMs: FIRST_POLL_MS,
  };
}

/** The others: those that held at `from` or later. */
function withShare(
  known: readonly KnownShare[],
  last: KnownShare,
  from: Milliseconds,
): readonly KnownShare[] {
  const shares = known.at(-1)?.share === last.share ? known : [...known, last];
  const first = shares.findLastIndex(({ since }) => since <= from);
  return first <= 0 ? shares : shares.slice(first);
}

function lowestOf(known: readonly KnownShare[]): number | undefined {
  return known.length === 0 ? undefined : Math.min(...known.map(({ share }) => share));
}

function needsOf({ slots, used, waiting }: TargetDemand): number {
  return Math.max(used, Math.min(slots, used + waiting));
}

function offsetOf(name: string): number {
  let sum = 0;
  for (let index = 0; index < name.length; index += 1) sum = (sum * 31 + name.charCodeAt(index)) % 65_521;
  return sum;
}
