/**
 * The scheduler for the workers: their entries wait here beside each other, as those of one process would. Owns what each worker has in the
 * queue and in slots, and what each was told of the targets. Invariant: a worker that is gone has nothing in the queue and holds no slot.
 */
import type { Clock, Milliseconds, Timer } from '../core/clock.ts';
import type { ModelId } from '../core/generation.ts';
import type { TargetId } from '../scheduling/decision.ts';
import type { LocalControl } from '../serving/local-control.ts';
import type { Target, Targets } from '../serving/targets.ts';
import type { HostTime } from './link.ts';
import type { SchedulingToControl, SchedulingToWorker, SentTarget } from './scheduling-messages.ts';
import { type AdmittedCalls, WorkerEntries } from './worker-entries.ts';

interface SchedulerHostOptions {
  readonly clock: Clock;
  readonly hostTime: HostTime;
  readonly control: LocalControl;
  /** In force now. */
  readonly targets: () => Targets;
  readonly setDrained: (target: TargetId, isDrained: boolean) => void;
}

/** One worker, as long as its link is open. */
export interface HostedWorker {
  receive(message: SchedulingToControl): void;
  /** It is gone. */
  end(): void;
}

/** The usual length of answers changes with each of them, by little: workers learn of it so late at most. */
const ANSWER_LENGTHS_EVERY_MS: Milliseconds = 50;

/** So long after somebody waited for a model, slots there are still given back at once: queues come and go. */
const CONTENDED_FOR_MS: Milliseconds = 100;

export class SchedulerHost {
  readonly #options: SchedulerHostOptions;
  readonly #workers = new Set<(message: SchedulingToWorker) => void>();
  /** As told last, as text. */
  readonly #told = new Map<TargetId, { readonly target: SentTarget; readonly text: string }>();
  readonly #knownSince = new WeakMap<Target, Milliseconds>();
  readonly #answerTokens = new Map<ModelId, number>();
  readonly #enteredModels = new Set<ModelId>();
  /** Of models that workers take for contended: when somebody was last seen waiting. */
  readonly #waitedAt = new Map<ModelId, Milliseconds>();
  #lengthsToldAt = Number.NEGATIVE_INFINITY;
  #lengthsTimer: Timer | undefined;

  constructor(options: SchedulerHostOptions) {
    this.#options = options;
    this.targetsChanged();
  }

  /** The worker is told of all targets before anything else. */
  connect(send: (message: SchedulingToWorker) => void, admitted: AdmittedCalls): HostedWorker {
    const { clock, hostTime, control, setDrained } = this.#options;
    this.#workers.add(send);
    send({ type: 'targets', targets: [...this.#told.values()].map(({ target }) => target) });
    for (const model of this.#waitedAt.keys()) send({ type: 'contended', model, isContended: true });
    for (const [model, tokens] of this.#answerTokens) send({ type: 'answer-length', model, tokens });
    const entries = new WorkerEntries({
      clock,
      hostTime,
      control,
      send,
      admitted,
      setDrained,
      findTarget: (model, id) => this.#find(model, id),
      knownSince: (target) => this.#knownSince.get(target) ?? 0,
      onEntered: (model) => this.#entered(model),
      onSlotChange: (target, change) => this.#slotChanged(target, change),
    });
    return {
      receive: (message) => entries.receive(message),
      end: () => {
        this.#workers.delete(send);
        entries.end();
      },
    };
  }

  /** Something has changed at a target, or there are others. */
  targetsChanged(): void {
    const changed: SentTarget[] = [];
    for (const target of this.#options.targets().all) {
      if (!this.#knownSince.has(target)) this.#knownSince.set(target, this.#options.clock.now());
      const sent = this.#sent(target);
      const text = JSON.stringify(sent);
      if (this.#told.get(target.id)?.text === text) continue;
      this.#told.set(target.id, { target: sent, text });
      changed.push(sent);
    }
    if (changed.length > 0) this.#sendAll({ type: 'targets', targets: changed });
  }

  /** It gets nothing new any more. Its name may be that of another target by now, as where it was given to another model. */
  targetRemoved({ id }: Target): void {
    if (this.#options.targets().all.some((target) => target.id === id)) return;
    if (this.#told.delete(id)) this.#sendAll({ type: 'target-removed', target: id });
  }

  close(): void {
    this.#lengthsTimer?.cancel();
  }

  #sendAll(message: SchedulingToWorker): void {
    for (const send of this.#workers) send(message);
  }

  #sent(target: Target): SentTarget {
    const { id, model, health } = target;
    const { load: _, kvCacheUsed: __, ...status } = target.status;
    return { id, model, status, health, isOnTrial: this.#options.control.isOnTrial(target) };
  }

  #find(model: ModelId, id: TargetId): Target | undefined {
    const { targets, control } = this.#options;
    const isIt = (target: Target) => target.id === id;
    return targets().of(model).find(isIt) ?? control.leavingOf(model).find(isIt);
  }

  #slotChanged(target: Target, change: 'taken' | 'given back'): void {
    // Its trial has begun or ended.
    if (target.health === 'probing') this.targetsChanged();
    if (change === 'given back') this.#lengthsMayHaveChanged();
  }

  #entered(model: ModelId): void {
    if (this.#enteredModels.size === 0) this.#options.clock.atEndOfTurn(() => this.#lookWhoWaits());
    this.#enteredModels.add(model);
  }

  /** After the tick of this turn. */
  #lookWhoWaits(): void {
    const now = this.#options.clock.now();
    for (const model of this.#enteredModels) {
      const waitedAt = this.#waitedAt.get(model);
      if (this.#options.control.loadOf(model).waiting > 0) {
        this.#waitedAt.set(model, now);
        if (waitedAt === undefined) this.#sendAll({ type: 'contended', model, isContended: true });
      } else if (waitedAt !== undefined && now - waitedAt >= CONTENDED_FOR_MS) {
        this.#waitedAt.delete(model);
        this.#sendAll({ type: 'contended', model, isContended: false });
      }
    }
    this.#enteredModels.clear();
  }

  #lengthsMayHaveChanged(): void {
    const { clock } = this.#options;
    if (this.#lengthsTimer !== undefined) return;
    const inMs = this.#lengthsToldAt + ANSWER_LENGTHS_EVERY_MS - clock.now();
    if (inMs <= 0) {
      this.#tellLengths();
      return;
    }
    this.#lengthsTimer = clock.schedule(inMs, () => this.#tellLengths());
  }

  #tellLengths(): void {
    this.#lengthsTimer = undefined;
    this.#lengthsToldAt = this.#options.clock.now();
    const { control, targets } = this.#options;
    for (const model of targets().models) {
      const tokens = control.reservedAnswerTokens(model, { maxTokens: undefined, maxTokensIsDefault: false });
      if (this.#answerTokens.get(model) === tokens) continue;
      this.#answerTokens.set(model, tokens);
      this.#sendAll({ type: 'answer-length', model, tokens });
    }
  }
}
