/**
 * The targets of one model, and the requests that hold their slots. Invariant: a target's `used` and `tokensInFlight` are the sums
 * over the requests that run on it, and within its bounds, except for a request that runs alone. The record of what a target has
 * cached is dropped when it goes down.
 */
import type { LoadReport } from '../core/backend.ts';
import type { Milliseconds } from '../core/clock.ts';
import { AdaptiveSlots } from './adaptive-slots.ts';
import type {
  Alternative,
  EntryId,
  SchedulerTarget,
  Settlement,
  SlotLease,
  TargetId,
  TargetNeeds,
} from './decision.ts';
import type { Flow } from './fair-share.ts';
import { IdlePrefixes } from './prefix-affinity.ts';
import { NO_PREFIX } from './prefix-fingerprint.ts';
import type { QueuedRequest } from './queued-request.ts';
import { hashOfName } from './rendezvous.ts';
import { nextTurn, type RoutingOptions } from './routing.ts';
import { ServerLoad } from './server-load.ts';
import { SlotNumbers } from './slot-numbers.ts';
import { alternativeAmong, hasRoom, isOpenTo, meets, serves, slotsAt, type Target } from './target.ts';
import { TargetChoice } from './target-choice.ts';
import { WorkSum } from './work.ts';

/** The part that an adaptive target has of the prompts: its slots change, and with them prompts would change their home. */
const ADAPTIVE_SHARE = 64;

/** A failed request may run there later, or at once. */
const IS_COMING: ReadonlySet<Target['state']> = new Set(['loading', 'ejected']);

const NO_NEEDS: TargetNeeds = { avoid: new Set() };

const NOT_LEASED_YET: SlotLease = { slots: 0, until: Number.NEGATIVE_INFINITY };

interface Grant {
  readonly target: Target;
  readonly granted: QueuedRequest;
  /** The flow whose account is settled. */
  readonly flow: Flow<QueuedRequest> | undefined;
  readonly dispatchedAt: Milliseconds;
}

interface Running extends Grant {
  /** Its number. */
  readonly slot: number;
  /** Where its slot is returned to. */
  readonly idle: IdlePrefixes | undefined;
  /** Where its end is measured. */
  readonly adaptive: AdaptiveSlots | undefined;
  readonly busyAtStart: number;
}

export class Slots {
  readonly #options: { readonly maxTokensInFlight: number };
  readonly #choice: TargetChoice;
  readonly #serverOf: (target: SchedulerTarget) => ServerLoad;
  readonly #targets = new Map<TargetId, Target>();
  /** The same, to go through for each request. */
  #list: readonly Target[] = [];
  /** Grows with each change of a target. */
  #version = 0;
  /** The turn of the target that was last chosen. */
  #turn = 0;
  readonly #running = new Map<EntryId, Running>();
  /** Of targets that have been removed, while requests run there: a target that comes in the place of one counts on with them. */
  readonly #numbersLeft = new Map<TargetId, SlotNumbers>();
  readonly work = new WorkSum();

  /** `serverOf`: targets of one server, whatever their model, share its load. */
  constructor(
    options: { readonly maxTokensInFlight: number; readonly routing: RoutingOptions },
    serverOf: (target: SchedulerTarget) => ServerLoad = () => new ServerLoad(),
  ) {
    this.#options = options;
    this.#choice = new TargetChoice(options);
    this.#serverOf = serverOf;
  }

  get running(): number {
    return this.#running.size;
  }

  /** Of all targets that get requests. */
  get usable(): number {
    let slots = 0;
    for (const { state, slots: all, lease } of this.#list) {
      // Slots of a shared target come and go: while it has none, it is about to get some.
      if (state === 'ready') slots += lease === undefined ? all : Math.max(1, all);
      else if (state === 'probing') slots += 1;
    }
    return slots;
  }

  /** Requests can be sent to one of them now, or when it has a free slot. */
  get serve(): boolean {
    return this.#list.some(serves);
  }

  hasTarget(state: SchedulerTarget['state']): boolean {
    for (const target of this.#list) if (target.state === state) return true;
    return false;
  }

  usedOf(target: TargetId): { readonly slots: number; readonly tokens: number } {
    const { used = 0, tokensInFlight = 0 } = this.#targets.get(target) ?? {};
    return { slots: used, tokens: tokensInFlight };
  }

  /** Undefined for an unknown target. */
  slotsOf(target: TargetId): number | undefined {
    return this.#targets.get(target)?.slots;
  }

  isOnTrial(target: TargetId): boolean {
    return this.#targets.get(target)?.trial !== undefined;
  }

  setTarget(given: SchedulerTarget, now: Milliseconds): void {
    const { id, state, role = 'primary', contextSize, degraded = false, weight = 1 } = given;
    const { adaptive = false, cachesPrefixes = false, isShared = false } = given;
    const target = this.#targets.get(id) ?? this.#added(given);
    const served = serves(target);
    const isAway = state === 'loading' || state === 'down';
    if (!adaptive) target.adaptive = undefined;
    else if (target.adaptive?.max !== given.slots) {
      target.adaptive = new AdaptiveSlots({ max: given.slots, now });
      target.adaptive.hold(target.used, now);
    }
    target.ownSlots = target.adaptive?.slots ?? given.slots;
    target.lease = isShared ? (target.lease ?? NOT_LEASED_YET) : undefined;
    target.slots = slotsAt(target, now);
    target.state = state;
    target.role = role;
    target.contextSize = contextSize;
    target.degraded = degraded;
    target.weight = weight;
    target.share = weight * (adaptive ? ADAPTIVE_SHARE : given.slots);
    // It does not make up for the turns that it missed.
    if (!served) this.#catchUp(target, 0);
    if (state !== 'probing') target.trial = undefined;
    if (isAway || !cachesPrefixes || !target.idle)
      target.idle = cachesPrefixes ? new IdlePrefixes() : undefined;
    target.idle?.fit(target.ownSlots - target.used);
    this.#version += 1;
  }

  /** Of a shared target. */
  setLease(id: TargetId, lease: SlotLease, now: Milliseconds): void {
    const target = this.#targets.get(id);
    if (target?.lease === undefined) return;
    target.lease = lease;
    target.slots = slotsAt(target, now);
  }

  /** Before anything is granted: a lease that has ended gives none. */
  endLeases(now: Milliseconds): void {
    for (const target of this.#list) if (target.lease !== undefined) target.slots = slotsAt(target, now);
  }

  /** It gets nothing more; what runs there goes on, and is counted in the answer until it has ended. */
  removeTarget(id: TargetId): { readonly used: number } {
    const target = this.#targets.get(id);
    this.#targets.delete(id);
    if (target !== undefined && !target.slotNumbers.areFree) this.#numbersLeft.set(id, target.slotNumbers);
    this.#list = [...this.#targets.values()];
    this.#version += 1;
    return target ?? { used: 0 };
  }

  get isUnused(): boolean {
    return this.#targets.size === 0 && this.#running.size === 0;
  }

  #added(given: SchedulerTarget): Target {
    const slotNumbers = this.#numbersLeft.get(given.id) ?? new SlotNumbers();
    this.#numbersLeft.delete(given.id);
    const target: Target = {
      id: given.id,
      hash: hashOfName(given.id),
      state: 'loading',
      role: 'primary',
      contextSize: undefined,
      degraded: false,
      weight: 1,
      share: 1,
      slots: given.slots,
      ownSlots: given.slots,
      lease: undefined,
      adaptive: undefined,
      used: 0,
      slotNumbers,
      tokensInFlight: 0,
      turns: 0,
      server: this.#serverOf(given),
      requests: 0,
      idle: undefined,
      trial: undefined,
    };
    this.#targets.set(given.id, target);
    this.#list = [...this.#targets.values()];
    return target;
  }

  /** Undefined: the server has stopped reporting. */
  reportLoad(id: TargetId, load: LoadReport | undefined, now: Milliseconds): void {
    const target = this.#targets.get(id);
    target?.server.report(load);
    if (target?.adaptive === undefined || load === undefined) return;
    target.adaptive.reported(load, now);
    target.ownSlots = target.adaptive.slots;
    target.slots = slotsAt(target, now);
  }

  /** Where the request could run now, of the targets with room. */
  findRoom(request: QueuedRequest): Target | undefined {
    const { requests, chargedTokens } = this.work;
    return this.#choice.choose(this.#list, request, requests === 0 ? 0 : chargedTokens / requests);
  }

  /** Where it would run if all targets had room; undefined where that makes no difference. */
  homeOf(request: QueuedRequest): TargetId | undefined {
    if (request.homeVersion !== this.#version) {
      request.home = this.#choice.homeOf(this.#list, request)?.id;
      request.homeVersion = this.#version;
    }
    return request.home;
  }

  /** Undefined: it makes no difference where it runs. */
  isHome(request: QueuedRequest, target: Target): boolean | undefined {
    const home = this.homeOf(request);
    return home === undefined ? undefined : home === target.id;
  }

  /** A target that serves, and may get such a request, has a slot that nobody holds. */
  hasFreeSlot(needs: TargetNeeds | undefined): boolean {
    for (const target of this.#list) {
      if (!isOpenTo(target, NO_NEEDS) || target.used >= target.slots) continue;
      if (needs === undefined || meets(target, needs)) return true;
    }
    return false;
  }

  hasRoom(target: Target, tokens: number): boolean {
    return hasRoom(target, tokens, this.#options.maxTokensInFlight);
  }

  /** What the targets that serve it now, or are ejected, offer such a request; undefined where none may get it. */
  alternative(needs: TargetNeeds): Alternative | undefined {
    return alternativeAmong(this.#list, needs);
  }

  /** A target that may get such a request serves now, or will when it has loaded. */
  isWorthWaiting(needs: TargetNeeds): boolean {
    for (const target of this.#list)
      if ((isOpenTo(target, needs) || IS_COMING.has(target.state)) && meets(target, needs)) return true;
    return false;
  }

  /** Returns the number of the slot: among those that are taken at this target, no other has it. */
  take({ target, granted, flow, dispatchedAt }: Grant): number {
    const { idle, adaptive, server } = target;
    const { chargedTokens } = granted;
    idle?.take(granted.prefix);
    if (target.state === 'probing') target.trial = granted.entry.id;
    this.#turn = nextTurn(target);
    target.turns += 1;
    target.used += 1;
    target.tokensInFlight += chargedTokens;
    server.take(chargedTokens);
    this.work.add(granted);
    let busyAtStart = 0;
    if (adaptive !== undefined) {
      adaptive.hold(target.used, dispatchedAt);
      busyAtStart = adaptive.busy(dispatchedAt);
    }
    const slot = target.slotNumbers.take();
    this.#running.set(granted.entry.id, {
      target,
      granted,
      flow,
      dispatchedAt,
      slot,
      idle,
      adaptive,
      busyAtStart,
    });
    return slot;
  }

  /** Undefined where the entry holds no slot, or none any more. */
  release(id: EntryId, settlement: Settlement, now: Milliseconds): Running | undefined {
    const running = this.#running.get(id);
    if (!running) return undefined;
    const { target, granted, idle } = running;
    const wasFull = target.used >= target.slots;
    this.#running.delete(id);
    if (target.trial === id) target.trial = undefined;
    target.used -= 1;
    target.slotNumbers.giveBack(running.slot);
    if (this.#numbersLeft.size > 0 && this.#numbersLeft.get(target.id)?.areFree)
      this.#numbersLeft.delete(target.id);
    target.tokensInFlight -= granted.chargedTokens;
    target.server.giveBack(granted.chargedTokens);
    if (target.adaptive !== undefined) this.#adapt(target, running, { settlement, now });
    // What it missed for want of slots it makes up for only as far as its slots go.
    if (wasFull) this.#catchUp(target, target.slots);
    // After a failure the engine clears the slot.
    idle?.giveBack(settlement.outcome === 'failed' ? NO_PREFIX : granted.prefix);
    target.idle?.fit(target.ownSlots - target.used);
    this.work.add(granted, -1);
    return running;
  }

  #adapt(
    target: Target,
    { adaptive, busyAtStart, dispatchedAt }: Running,
    { settlement, now }: { readonly settlement: Settlement; readonly now: Milliseconds },
  ): void {
    const { outcome, answerTokens, promptTokens, firstTokenMs } = settlement;
    target.adaptive?.hold(target.used, now);
    if (target.adaptive !== adaptive || outcome !== 'completed') return;
    // An embedding has no answer.
    const tokens = answerTokens || promptTokens;
    adaptive?.ended({ startedAt: dispatchedAt, busyAtStart, tokens, firstTokenMs }, now);
    target.ownSlots = adaptive?.slots ?? target.ownSlots;
    target.slots = slotsAt(target, now);
  }

  /** At most so many turns behind the target that was last chosen. */
  #catchUp(target: Target, turns: number): void {
    target.turns = Math.max(target.turns, Math.floor(this.#turn * target.weight) - turns);
  }
}
