/**
 * Pure: what the lanes show, made of snapshots. A bar is one try of one request: its wait, then its time in a slot. A snapshot says what
 * waits and runs now; the exact end of a bar comes with the receipt of its request, which may be later (a retry goes on elsewhere) or
 * never (the snapshot had no room for it, or was lost). Until then a bar ends where it was last seen. Its lane at a target is its slot
 * there, which the server numbers; the lines of the queue are worked out here. All of it is bounded.
 */
import type {
  LiveAttempt,
  LiveReceipt,
  LiveRunning,
  LiveSnapshot,
  LiveWaiting,
  WaitingReason,
} from '../../src/core/live-snapshot.ts';
import type { Priority } from '../../src/core/priority.ts';
import type { AttemptOutcome, RetryKind } from '../../src/core/request-trace.ts';
import { Lanes } from './lanes.ts';

/** Milliseconds that ended bars are kept: the longest time range of the page. */
export const KEPT_MS = 300_000;
/** Bars, the oldest ended ones go first. */
export const MAX_BARS = 8_000;
/** Milliseconds by which two reports of one moment may differ. */
const SAME_MS = 100;
/** A wait shorter than this gets no line in the queue, unless a snapshot saw it. */
const SHORT_WAIT_MS = 5;

/** `unknown`: it is gone, and no receipt has come yet. `moved_on`: its request is being tried again. */
export type BarOutcome = AttemptOutcome | 'unknown' | 'moved_on';

/** Times are the server's, in milliseconds since the epoch. */
export interface Bar {
  readonly key: string;
  /** In the snapshots; null of one that no snapshot had. */
  id: string | null;
  readonly requestId: string;
  readonly client: string;
  readonly receivedAt: number;
  /** 1: the first. */
  readonly attempt: number;
  model: string;
  priority: Priority | null;
  kind: RetryKind | null;
  promptTokens: number;
  enqueuedAt: number;
  /** Null while it waits, and of one that never got a slot. */
  startedAt: number | null;
  target: string | null;
  batch: { readonly id: string; readonly size: number } | null;
  firstTokenAt: number | null;
  /** Null while it waits or runs. */
  endedAt: number | null;
  outcome: BarOutcome | null;
  /** Of its answer, so far. */
  tokens: number;
  reason: WaitingReason | null;
  expiresAt: number | null;
  /** That its request was answered with. */
  errorCode: string | null;
  /** When a snapshot last had it. */
  seenAt: number;
  /** In the queue; null: it has no line there. */
  queueLane: number | null;
  /** The number of its slot at the target. */
  lane: number | null;
  /** The try before, where that one ended without an answer. */
  previous: Bar | null;
  receipt: LiveReceipt | null;
}

type Facts = Pick<Bar, 'requestId' | 'client' | 'receivedAt' | 'attempt' | 'model' | 'enqueuedAt'>;

export class Bars {
  /** By when they became known. */
  readonly #all = new Map<string, Bar>();
  /** By the id in the snapshots. A server that has been restarted gives ids again. */
  readonly #byId = new Map<string, Bar>();
  /** What waits or runs, by the same. */
  readonly #live = new Map<string, Bar>();
  readonly #byRequest = new Map<string, Bar[]>();
  readonly #queue = new Lanes();
  #count = 0;
  /** What ended later than this is kept as long as there is room, for a picture that stands still. */
  heldFrom: number | null = null;

  get all(): Iterable<Bar> {
    return this.#all.values();
  }

  get size(): number {
    return this.#all.size;
  }

  ofRequest(requestId: string): readonly Bar[] {
    return this.#byRequest.get(requestId) ?? [];
  }

  apply(snapshot: LiveSnapshot): void {
    const at = snapshot.at_ms;
    // What has ended makes room in the queue for what has come.
    for (const receipt of snapshot.ended) this.#ended(receipt, at);
    const goesOn = new Set([...snapshot.running, ...snapshot.queue].map(({ id }) => id));
    for (const [id, bar] of this.#live) if (!goesOn.has(id)) this.#vanished(id, bar);
    for (const running of snapshot.running) this.#runs(running, at);
    for (const waiting of snapshot.queue) this.#waits(waiting, at);
    this.#prune(at);
  }

  /** No more snapshots come for now: what was under way ends where it was last seen. It goes on if a later one has it. */
  interrupted(): void {
    for (const [id, bar] of this.#live) this.#vanished(id, bar);
  }

  #runs(running: LiveRunning, at: number): void {
    const bar = this.#live.get(running.id) ?? this.#begin(running);
    bar.seenAt = at;
    bar.target = running.target;
    bar.lane = running.slot;
    bar.model = running.model;
    bar.batch = running.batch;
    bar.startedAt = running.started_at_ms;
    bar.firstTokenAt = running.first_token_at_ms;
    bar.tokens = running.completion_tokens;
    bar.promptTokens = running.prompt_tokens;
    bar.reason = null;
    bar.expiresAt = null;
    this.#placeInQueue(bar);
  }

  #waits(waiting: LiveWaiting, at: number): void {
    const bar = this.#live.get(waiting.id) ?? this.#begin(waiting);
    bar.seenAt = at;
    bar.reason = waiting.reason;
    bar.expiresAt = waiting.expires_at_ms;
    this.#placeInQueue(bar);
  }

  #begin(request: LiveRunning | LiveWaiting): Bar {
    const known = this.#byId.get(request.id);
    const same =
      known?.requestId === request.request_id && isOfRequest(known, request.received_at_ms)
        ? known
        : undefined;
    const bar =
      same ??
      this.#add({
        requestId: request.request_id,
        client: request.client,
        receivedAt: request.received_at_ms,
        attempt: request.attempt,
        model: request.model,
        enqueuedAt: request.enqueued_at_ms,
      });
    bar.id = request.id;
    bar.priority = request.priority;
    bar.promptTokens = request.prompt_tokens;
    // A snapshot before had no room for it, or was lost.
    bar.endedAt = null;
    bar.outcome = null;
    this.#byId.set(request.id, bar);
    this.#live.set(request.id, bar);
    return bar;
  }

  #add(facts: Facts): Bar {
    this.#count += 1;
    const bar: Bar = {
      key: String(this.#count),
      id: null,
      requestId: facts.requestId,
      client: facts.client,
      receivedAt: facts.receivedAt,
      attempt: facts.attempt,
      model: facts.model,
      priority: null,
      kind: null,
      promptTokens: 0,
      enqueuedAt: facts.enqueuedAt,
      startedAt: null,
      target: null,
      batch: null,
      firstTokenAt: null,
      endedAt: null,
      outcome: null,
      tokens: 0,
      reason: null,
      expiresAt: null,
      errorCode: null,
      seenAt: 0,
      queueLane: null,
      lane: null,
      previous: null,
      receipt: null,
    };
    const siblings = this.#byRequest.get(bar.requestId) ?? [];
    const before = siblings.find(
      (one) => isOfRequest(one, bar.receivedAt) && one.attempt === bar.attempt - 1,
    );
    if (before !== undefined) {
      bar.previous = before;
      if (before.outcome === 'unknown') before.outcome = 'moved_on';
    }
    siblings.push(bar);
    this.#byRequest.set(bar.requestId, siblings);
    this.#all.set(bar.key, bar);
    return bar;
  }

  #vanished(id: string, bar: Bar): void {
    this.#live.delete(id);
    if (bar.endedAt !== null) return;
    bar.endedAt = Math.max(bar.seenAt, bar.startedAt ?? bar.enqueuedAt);
    const goesOn = this.ofRequest(bar.requestId).some((other) => other.previous === bar);
    bar.outcome = goesOn ? 'moved_on' : 'unknown';
    this.#placeInQueue(bar);
  }

  #ended(receipt: LiveReceipt, at: number): void {
    const open = this.ofRequest(receipt.request_id).filter(
      (bar) => bar.receipt === null && isOfRequest(bar, receipt.received_at_ms),
    );
    const of = new Set(open);
    let previous: Bar | null = null;
    receipt.attempts.forEach((attempt, index) => {
      const bar = findBar(of, attempt) ?? this.#add(factsOf(receipt, attempt, index));
      of.delete(bar);
      this.#settle(bar, receipt, attempt);
      // Choices of one request run beside each other; only what came after a failure goes on from it.
      bar.previous = attempt.kind === null ? null : previous;
      previous = bar;
      bar.seenAt = at;
      this.#placeInQueue(bar);
    });
    const waited = [...of].filter(({ startedAt }) => startedAt === null);
    // It never waited where a snapshot could see it.
    if (receipt.attempts.length === 0 && waited.length === 0 && isRejection(receipt))
      waited.push(this.#add(factsOf(receipt, undefined, 0)));
    for (const bar of waited) {
      bar.endedAt = receipt.ended_at_ms;
      bar.outcome = receipt.status === 499 ? 'cancelled' : 'rejected';
      bar.errorCode = receipt.error_code;
      bar.receipt = receipt;
      bar.previous ??= previous;
      bar.seenAt = at;
      this.#placeInQueue(bar, true);
    }
  }

  #settle(bar: Bar, receipt: LiveReceipt, attempt: LiveAttempt): void {
    bar.target = attempt.target;
    bar.lane = attempt.slot;
    bar.model = attempt.model;
    bar.batch = attempt.batch;
    bar.kind = attempt.kind;
    bar.enqueuedAt = attempt.enqueued_at_ms;
    bar.startedAt = attempt.started_at_ms;
    bar.firstTokenAt = attempt.first_token_at_ms;
    bar.endedAt = attempt.ended_at_ms ?? receipt.ended_at_ms;
    bar.outcome = attempt.outcome ?? 'unknown';
    bar.errorCode = receipt.error_code;
    bar.priority = receipt.priority;
    bar.promptTokens = receipt.prompt_tokens ?? bar.promptTokens;
    if (attempt === receipt.attempts.at(-1)) bar.tokens = receipt.completion_tokens ?? bar.tokens;
    bar.receipt = receipt;
  }

  /** A wait has at least a millisecond, so that two of one moment do not share a line. */
  #placeInQueue(bar: Bar, always = false): void {
    const waitEnd = bar.startedAt ?? bar.endedAt;
    const seen = bar.queueLane !== null || bar.reason !== null || always;
    if (!seen && (waitEnd === null || waitEnd - bar.enqueuedAt < SHORT_WAIT_MS)) return;
    const end = waitEnd === null ? null : Math.max(waitEnd, bar.enqueuedAt + 1);
    bar.queueLane = this.#queue.place(bar.key, { start: bar.enqueuedAt, end });
  }

  #prune(at: number): void {
    let over = this.#all.size - MAX_BARS;
    const oldest = Math.min(at - KEPT_MS, this.heldFrom ?? at);
    for (const bar of this.#all.values()) {
      if (bar.endedAt === null) continue;
      if (bar.endedAt >= oldest && over <= 0) {
        // Those after it became known later.
        if (bar.receivedAt >= oldest) break;
        continue;
      }
      over -= 1;
      this.#forget(bar);
    }
  }

  #forget(bar: Bar): void {
    this.#all.delete(bar.key);
    if (bar.id !== null && this.#byId.get(bar.id) === bar) this.#byId.delete(bar.id);
    this.#queue.delete(bar.key);
    const siblings = this.#byRequest.get(bar.requestId)?.filter((other) => other !== bar) ?? [];
    for (const other of siblings) if (other.previous === bar) other.previous = null;
    if (siblings.length === 0) this.#byRequest.delete(bar.requestId);
    else this.#byRequest.set(bar.requestId, siblings);
  }
}

/** Clients choose request ids, and may use one twice. */
function isOfRequest(bar: Bar, receivedAt: number): boolean {
  return Math.abs(bar.receivedAt - receivedAt) <= SAME_MS;
}

/** Asked for a model, and had no slot. */
function isRejection(receipt: LiveReceipt): boolean {
  return receipt.model !== null && (receipt.status === 429 || receipt.status === 503);
}

/** The one that ran in that slot at that time; or one that was last seen in the queue. */
function findBar(bars: Iterable<Bar>, attempt: LiveAttempt): Bar | undefined {
  let waited: Bar | undefined;
  for (const bar of bars) {
    if (bar.startedAt === null) {
      if (Math.abs(bar.enqueuedAt - attempt.enqueued_at_ms) <= SAME_MS) waited ??= bar;
    } else if (
      bar.target === attempt.target &&
      bar.lane === attempt.slot &&
      Math.abs(bar.startedAt - attempt.started_at_ms) <= SAME_MS
    )
      return bar;
  }
  return waited;
}

function factsOf(receipt: LiveReceipt, attempt: LiveAttempt | undefined, index: number): Facts {
  return {
    requestId: receipt.request_id,
    client: receipt.client,
    receivedAt: receipt.received_at_ms,
    attempt: index + 1,
    model: attempt?.model ?? receipt.model ?? '',
    enqueuedAt: attempt?.enqueued_at_ms ?? receipt.received_at_ms,
  };
}
