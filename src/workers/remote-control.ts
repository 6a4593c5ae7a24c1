/**
 * What there is once, as a worker has it: its requests wait in the control process, and how the targets are comes from there. Owns
 * `status` and `health` of this worker's targets, which follow what it is told, and the targets that a reload has taken out, until its own
 * requests there have ended.
 */
import type { Clock, Milliseconds } from '../core/clock.ts';
import type { ServingError } from '../core/errors.ts';
import type { FailureCause } from '../core/failure.ts';
import type { ModelId } from '../core/generation.ts';
import type { Log } from '../core/log.ts';
import type { Alternative, TargetId, TargetNeeds } from '../scheduling/decision.ts';
import { type AnswerBound, reservedAnswerTokens } from '../scheduling/latency-estimator.ts';
import { mayBeOfRequest } from '../scheduling/suspect-faults.ts';
import { alternativeAmong, type OfferedTarget } from '../scheduling/target.ts';
import { schedulerTarget } from '../serving/scheduler-target.ts';
import type { EndedTry, ModelLoad, ServingControl, TriedRequest } from '../serving/serving-control.ts';
import { messageOf } from '../serving/target-log.ts';
import { slotCountOf, type Target, type Targets } from '../serving/targets.ts';
import { ClosingTargets } from './closing-targets.ts';
import { FailedRequests } from './failed-requests.ts';
import type { HostTime } from './link.ts';
import { RemoteSlotQueue } from './remote-slot-queue.ts';
import type { SchedulingToControl, SchedulingToWorker, SentTarget } from './scheduling-messages.ts';

interface RemoteControlOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly hostTime: HostTime;
  /** Of this worker; no other one has had it. */
  readonly name: string;
  readonly send: (message: SchedulingToControl) => void;
  /** As in the queue; absent: 1. */
  readonly releaseWithinMs?: Milliseconds;
  readonly targets: Targets;
  /** Of a model, also of a removed one for which requests wait. */
  readonly targetsOf: (model: ModelId) => readonly Target[];
  readonly onTargetChange: () => void;
}

const RELEASE_WITHIN_MS: Milliseconds = 1;

export class RemoteControl implements ServingControl {
  readonly slotQueue: RemoteSlotQueue;
  /** The control process has told how its targets are. */
  readonly informed: Promise<void>;
  readonly #options: RemoteControlOptions;
  readonly #closing: ClosingTargets;
  readonly #failed: FailedRequests;
  /** As told last; of no target that has been removed. */
  readonly #told = new Map<TargetId, SentTarget>();
  /** As long as most recent answers were at most. */
  readonly #answerTokens = new Map<ModelId, number>();
  #targets: Targets;
  #noteInformed: () => void = () => {};

  constructor(options: RemoteControlOptions) {
    const { clock, log, send } = options;
    this.#options = options;
    this.#targets = options.targets;
    this.informed = new Promise((resolve) => {
      this.#noteInformed = resolve;
    });
    this.#failed = new FailedRequests((request) => send({ type: 'forgotten', request }));
    this.slotQueue = new RemoteSlotQueue({
      ...options,
      releaseWithinMs: options.releaseWithinMs ?? RELEASE_WITHIN_MS,
      alternative: (model, needs) => this.#alternative(model, needs),
      findTarget: (model, id) => this.#find(model, id),
    });
    this.#closing = new ClosingTargets({
      clock,
      log,
      isInUse: (target) => this.slotQueue.usedOf(target).slots > 0,
    });
  }

  receive(message: SchedulingToWorker): void {
    switch (message.type) {
      case 'granted':
        this.slotQueue.granted(message);
        break;
      case 'rejected':
        this.slotQueue.rejected(message);
        break;
      case 'position':
        this.slotQueue.positioned(message);
        break;
      case 'targets':
        for (const target of message.targets) this.#noteTarget(target);
        this.#noteInformed();
        this.#options.onTargetChange();
        break;
      case 'target-removed':
        this.#told.delete(message.target);
        this.#closing.removed(message.target);
        break;
      case 'contended':
        this.slotQueue.contended(message);
        break;
      case 'answer-length':
        this.#answerTokens.set(message.model, message.tokens);
        break;
      default:
        throw message satisfies never;
    }
  }

  /** The control process is gone: what waits is ended. */
  end(): void {
    this.slotQueue.end();
  }

  /** The control process probes them and warms them up. */
  start(): void {}

  apply(before: Targets, after: Targets): void {
    this.#targets = after;
    for (const target of before.all)
      if (!after.all.includes(target)) {
        const replaced = after.all.some(({ id }) => id === target.id);
        this.#closing.add(target, { mayGetMore: !replaced && this.#told.has(target.id) });
      }
    for (const { id } of after.all) {
      const told = this.#told.get(id);
      if (told !== undefined) this.#noteTarget(told);
    }
    this.slotQueue.targetsChanged();
  }

  /** Those of which a request of this worker may still get a slot, or has one. */
  leavingOf(model: ModelId): readonly Target[] {
    return this.#closing.of(model);
  }

  setDrained({ id }: Target, isDrained: boolean): void {
    this.#options.send({ type: 'set-drained', target: id, isDrained });
  }

  reservedAnswerTokens(model: ModelId, bound: AnswerBound): number {
    return reservedAnswerTokens(bound, this.#answerTokens.get(model));
  }

  /** Of this worker's requests. */
  loadOf(model: ModelId): Omit<ModelLoad, 'model'> {
    return this.slotQueue.loadOf(model);
  }

  /** By this worker's requests. */
  usedOf(target: Target): { readonly slots: number; readonly tokens: number } {
    return this.slotQueue.usedOf(target);
  }

  slotsOf(target: Target): number {
    return slotCountOf(target);
  }

  /** They are counted by the control process. */
  ejectionsOf(): ReadonlyMap<FailureCause, number> {
    return new Map();
  }

  onAttemptEnded(target: Target, error: ServingError | undefined, ended: EndedTry): void {
    // That it succeeded goes with its slot. What says nothing of the target is not sent.
    if (error === undefined) {
      if (ended.isRetry) this.onAnswered(ended.request);
      return;
    }
    const { failure, code, message, retryAfterSeconds, cause } = error;
    if (failure === undefined) return;
    const { request, startedAt } = ended;
    const number = mayBeOfRequest(failure) ? this.#failed.numberOf(request) : this.#failed.known(request);
    const { send, hostTime } = this.#options;
    send({
      type: 'try-failed',
      failed: {
        model: target.model,
        target: target.id,
        requestId: request.requestId,
        request: number,
        startedAt: hostTime.toHost(startedAt),
        code,
        message,
        failure,
        retryAfterSeconds: Number.isFinite(retryAfterSeconds) ? retryAfterSeconds : undefined,
        cause: messageOf(cause),
      },
    });
  }

  onAnswered(request: TriedRequest): void {
    const number = this.#failed.known(request);
    if (number !== undefined) this.#options.send({ type: 'answered', request: number });
  }

  onRequestFailed(request: TriedRequest, targetsAsked: number): void {
    const number = this.#failed.known(request);
    if (number !== undefined)
      this.#options.send({ type: 'request-failed', request: number, asked: targetsAsked });
  }

  async close(): Promise<void> {
    this.end();
    await this.#closing.close();
  }

  #noteTarget(told: SentTarget): void {
    this.#told.set(told.id, told);
    const target = this.#find(told.model, told.id);
    if (target === undefined) return;
    target.status = told.status;
    target.health = told.health;
  }

  #find(model: ModelId, id: TargetId): Target | undefined {
    const isIt = (target: Target) => target.id === id;
    return this.#targets.of(model).find(isIt) ?? this.#closing.of(model).find(isIt);
  }

  /** As the control process would answer, by what it has told. */
  #alternative(model: ModelId, needs: TargetNeeds): Alternative | undefined {
    const offered: OfferedTarget[] = [];
    for (const target of this.#options.targetsOf(model)) {
      const told = this.#told.get(target.id);
      if (told === undefined) continue;
      const { id, state, contextSize, degraded = false } = schedulerTarget(target);
      offered.push({ id, state, contextSize, degraded, trial: told.isOnTrial ? 'taken' : undefined });
    }
    return alternativeAmong(offered, needs);
  }
}
