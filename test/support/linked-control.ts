/**
 * Serving's control on the other side of a link, as a worker has it, in one process: a RemoteControl here, and a LocalControl with its host
 * there, whose clock shows another time. Both sides have targets of their own, over the same backends; here they are closed.
 */
import type { Backend } from '../../src/core/backend.ts';
import type { Clock } from '../../src/core/clock.ts';
import type { ModelId } from '../../src/core/generation.ts';
import { type ControlOptions, LocalControl } from '../../src/serving/local-control.ts';
import type { ServingControl } from '../../src/serving/serving-control.ts';
import { type Target, Targets } from '../../src/serving/targets.ts';
import { HostTime, Link } from '../../src/workers/link.ts';
import { RemoteControl } from '../../src/workers/remote-control.ts';
import { type HostedWorker, SchedulerHost } from '../../src/workers/scheduler-host.ts';
import type { SchedulingToControl, SchedulingToWorker } from '../../src/workers/scheduling-messages.ts';
import { duplexPair } from './duplex-pair.ts';

/** By so much the clock of the control process is ahead. */
const AHEAD_MS = 1_000_000;

export class ControlSide {
  readonly host: SchedulerHost;
  readonly local: LocalControl;
  readonly #clock: Clock;
  readonly #hostTime: HostTime;
  readonly #copies = new WeakMap<Target, Target>();
  #targets: Targets;

  constructor(parts: ControlOptions) {
    const { clock } = parts;
    this.#clock = { ...boundTo(clock), now: () => clock.now() + AHEAD_MS };
    this.#hostTime = new HostTime(this.#clock, () => clock.now());
    this.#targets = this.#copied(parts.targets);
    this.local = new LocalControl({
      ...parts,
      clock: this.#clock,
      targets: this.#targets,
      targetsOf: (model) => this.#of(model),
      onTargetChange: () => this.host.targetsChanged(),
      onTargetRemoved: (target) => this.host.targetRemoved(target),
    });
    this.host = new SchedulerHost({
      clock: this.#clock,
      hostTime: this.#hostTime,
      control: this.local,
      targets: () => this.#targets,
      setDrained: (id, isDrained) => {
        const target = this.#targets.all.find((each) => each.id === id);
        if (target !== undefined) this.local.setDrained(target, isDrained);
      },
    });
  }

  apply(after: Targets): void {
    const before = this.#targets;
    this.#targets = this.#copied(after);
    this.local.apply(before, this.#targets);
    this.host.targetsChanged();
  }

  /** Of a worker called `name`, which gives slots back at once unless it is told otherwise; `break` ends its process. */
  connect(
    name: string,
    parts: ControlOptions,
    releaseWithinMs = 0,
  ): { readonly control: RemoteControl; readonly break: () => void } {
    const [near, far] = duplexPair();
    const { clock } = parts;
    const toWorker = new Link<SchedulingToWorker, SchedulingToControl>({
      input: far,
      output: far,
      clock: this.#clock,
      onMessage: (message) => hosted.receive(message),
      onEnd: () => hosted.end(),
    });
    const hosted: HostedWorker = this.host.connect(
      (message) => toWorker.send(message),
      () => true,
    );
    const toControl = new Link<SchedulingToControl, SchedulingToWorker>({
      input: near,
      output: near,
      clock,
      onMessage: (message) => control.receive(message),
      onEnd: () => control.end(),
    });
    const control = new RemoteControl({
      ...parts,
      releaseWithinMs,
      name,
      hostTime: new HostTime(clock, () => clock.now()),
      send: (message) => toControl.send(message),
    });
    return { control, break: () => near.destroy() };
  }

  copyOf(target: Target): Target {
    const copy = this.#copies.get(target) ?? { ...target, backend: notClosed(target.backend) };
    this.#copies.set(target, copy);
    return copy;
  }

  #of(model: ModelId): readonly Target[] {
    const targets = this.#targets.of(model);
    return targets.length > 0 ? targets : this.local.leavingOf(model);
  }

  #copied(targets: Targets): Targets {
    const copies = targets.all.map((target) => {
      const copy = this.copyOf(target);
      const { backend: _, status: __, health: ___, ...settings } = target;
      Object.assign(copy, settings);
      return copy;
    });
    return new Targets({ targets: copies, defaultModel: targets.defaultModel, aliases: new Map() });
  }
}

/** One worker alone. */
export function linkedControl(parts: ControlOptions): ServingControl {
  const side = new ControlSide(parts);
  const { control } = side.connect('w1.1', parts);
  const both = {
    start: () => side.local.start(),
    apply: (before: Targets, after: Targets) => {
      side.apply(after);
      control.apply(before, after);
    },
    // The control process tells them to whoever asks for metrics.
    ejectionsOf: (target: Target) => side.local.ejectionsOf(side.copyOf(target)),
    close: async () => {
      side.host.close();
      await Promise.all([control.close(), side.local.close()]);
    },
  };
  return new Proxy<ServingControl>(control, {
    get: (_, name) => {
      if (name in both) return Reflect.get(both, name);
      const value: unknown = Reflect.get(control, name);
      return typeof value === 'function' ? value.bind(control) : value;
    },
  });
}

function boundTo(clock: Clock): Clock {
  return {
    now: () => clock.now(),
    wallNow: () => clock.wallNow(),
    schedule: (delayMs, run) => clock.schedule(delayMs, run),
    atEndOfTurn: (run) => clock.atEndOfTurn(run),
  };
}

function notClosed(backend: Backend): Backend {
  return new Proxy(backend, {
    get: (of, name) => {
      if (name === 'close') return async () => {};
      const value: unknown = Reflect.get(of, name);
      return typeof value === 'function' ? value.bind(of) : value;
    },
  });
}
