import { describe, expect, it } from 'vitest';
import { ServingError } from '../../../src/core/errors.ts';
import { silentLog } from '../../../src/core/log.ts';
import type { QueueEntry } from '../../../src/scheduling/decision.ts';
import type { ControlOptions } from '../../../src/serving/local-control.ts';
import type { EntryOptions, Grant } from '../../../src/serving/slot-queue.ts';
import { Targets } from '../../../src/serving/targets.ts';
import { HostTime } from '../../../src/workers/link.ts';
import { RemoteControl } from '../../../src/workers/remote-control.ts';
import type { SchedulingToControl } from '../../../src/workers/scheduling-messages.ts';
import { FakeBackend, fakeTarget } from '../../support/fake-backend.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { ControlSide } from '../../support/linked-control.ts';
import { entry, SCHEDULER } from '../../support/scheduling.ts';

/** Notes that it was closed. */
class ClosableBackend extends FakeBackend {
  closed = 0;

  override async close(): Promise<void> {
    this.closed += 1;
  }
}

const backendOf = new Map<string, ClosableBackend>();

function targetsOf(...ids: readonly string[]): Targets {
  const targets = ids.map((id) => {
    const backend = new ClosableBackend();
    backendOf.set(id, backend);
    return fakeTarget(backend, { id, slots: 1 });
  });
  return new Targets({ targets, defaultModel: 'm', aliases: new Map() });
}

function partsOf(targets: Targets, clock: FakeClock): ControlOptions {
  return {
    clock,
    log: silentLog,
    random: () => 0.5,
    scheduler: SCHEDULER,
    targets,
    targetsOf: (model) => targets.of(model),
    onFatal: () => {},
    onTargetChange: () => {},
  };
}

/** A worker whose control process is the test. */
function worker(...ids: readonly string[]) {
  return workerThat({ releaseWithinMs: 0 }, ...ids);
}

function workerThat({ releaseWithinMs }: { readonly releaseWithinMs?: number }, ...ids: readonly string[]) {
  const clock = new FakeClock();
  const targets = targetsOf(...ids);
  const sent: SchedulingToControl[] = [];
  const control = new RemoteControl({
    ...partsOf(targets, clock),
    name: 'w1.1',
    ...(releaseWithinMs !== undefined && { releaseWithinMs }),
    hostTime: new HostTime(clock, () => clock.now()),
    send: (message) => sent.push(message),
  });
  const told: string[] = [];
  const enter = (id: string, changes: Partial<QueueEntry> = {}, options: EntryOptions = {}) => {
    const caller = {
      describe: () => undefined,
      granted: ({ target, release }: Grant) => {
        told.push(`${id} at ${target}`);
        releases.set(id, () =>
          release({ outcome: 'completed', promptTokens: 1, answerTokens: 1, firstTokenMs: undefined }),
        );
      },
      rejected: ({ code }: ServingError) => told.push(`${id} ${code}`),
    };
    control.slotQueue.enter(entry(id, changes), caller, options);
  };
  /** Enters while its limits are being decided. */
  const enterPending = (id: string, call: number) => {
    let settle: { readonly admit: () => void; readonly refuse: () => void } | undefined;
    const admitted = new Promise<void>((resolve, reject) => {
      settle = { admit: resolve, refuse: () => reject(new ServingError('rate_limited')) };
    });
    enter(
      id,
      {},
      { admission: { call, admitted }, onPosition: ({ position }) => told.push(`${id} ${position}`) },
    );
    if (settle === undefined) throw new Error('a promise runs its function at once');
    return settle;
  };
  const releases = new Map<string, () => void>();
  const grant = (id: string, target: string) =>
    control.receive({ type: 'granted', id, target, slot: 0, batch: { id: 'batch_1', size: 1 } });
  return { clock, targets, control, sent, told, enter, enterPending, releases, grant };
}

describe('a worker', () => {
  it('gives a slot back once, and tells nobody of a grant that came after it had left', () => {
    const { sent, told, enter, releases, grant, control } = worker('one');
    enter('a');
    enter('b');
    control.slotQueue.leave('b');
    control.slotQueue.leave('b');
    grant('a', 'one');
    grant('b', 'one');
    releases.get('a')?.();
    releases.get('a')?.();
    control.slotQueue.leave('a');
    expect(told).toEqual(['a at one']);
    expect(sent.map(({ type }) => type)).toEqual(['enqueue', 'enqueue', 'leave', 'release']);
  });

  it('gives a slot that nobody waits for back with what it sends next, or a millisecond later', async () => {
    const { clock, sent, enter, releases, grant, control } = workerThat({}, 'one');
    const types = () => sent.splice(0).map(({ type }) => type);
    for (const id of ['a', 'b', 'c']) enter(id);
    for (const id of ['a', 'b', 'c']) grant(id, 'one');
    expect(types()).toEqual(['enqueue', 'enqueue', 'enqueue']);
    releases.get('a')?.();
    expect(types()).toEqual([]);
    enter('d');
    expect(types()).toEqual(['release', 'enqueue']);
    releases.get('b')?.();
    await clock.advance(1);
    expect(types()).toEqual(['release']);
    releases.get('c')?.();
    control.receive({ type: 'contended', model: 'm', isContended: true });
    expect(types()).toEqual(['release']);
    grant('d', 'one');
    releases.get('d')?.();
    expect(types()).toEqual(['release']);
    expect(clock.pendingTimers).toBe(0);
  });

  it('tells a caller nothing before its limits have admitted it, and then everything in order', async () => {
    const { clock, sent, told, enterPending, grant, control } = worker('one');
    const { admit } = enterPending('a', 7);
    expect(sent).toMatchObject([{ type: 'enqueue', after: 7 }]);
    control.receive({ type: 'position', id: 'a', position: { position: 1, etaMs: 5 } });
    grant('a', 'one');
    await clock.settle();
    expect(told).toEqual([]);
    admit();
    await clock.settle();
    expect(told).toEqual(['a 1', 'a 0', 'a at one']);
    expect(control.loadOf('m')).toMatchObject({ waiting: 0, running: 1 });
  });

  it('forgets a caller whom its limits refuse, and takes it back, should it be granted a slot all the same', async () => {
    const { clock, sent, told, enterPending, grant, control } = worker('one');
    const { refuse } = enterPending('a', 7);
    refuse();
    await clock.settle();
    control.slotQueue.leave('a');
    grant('a', 'one');
    expect(sent.map(({ type }) => type)).toEqual(['enqueue', 'leave']);
    expect([told, control.loadOf('m').waiting]).toEqual([[], 0]);
  });

  it('keeps a slot at a target that its configuration does not have yet, until it has', async () => {
    const { clock, targets, told, enter, grant, control } = worker('one');
    enter('a');
    grant('a', 'two');
    await clock.advance(4000);
    expect(told).toEqual([]);
    control.apply(targets, targetsOf('one', 'two'));
    expect(told).toEqual(['a at two']);
    await clock.advance(10_000);
    expect(told).toEqual(['a at two']);
  });

  it('gives such a slot back where it never gets that target', async () => {
    const { clock, sent, told, enter, grant } = worker('one');
    enter('a');
    grant('a', 'two');
    await clock.advance(5000);
    expect(told).toEqual(['a no_backend_available']);
    expect(sent.at(-1)).toEqual({ type: 'leave', id: 'a' });
  });

  it('closes a target that a reload takes out when nothing is granted there any more and its own requests have ended', async () => {
    const { clock, targets, told, enter, releases, grant, control } = worker('one', 'two');
    const status = { state: 'ready', loaded: true } as const;
    const known = { model: 'm', status, health: 'ready', isOnTrial: false } as const;
    const both = ['one', 'two'].map((id) => ({ ...known, id }));
    control.receive({ type: 'targets', targets: both });
    const { one: backend } = Object.fromEntries(backendOf);
    enter('a');
    enter('b');
    grant('a', 'one');
    control.apply(
      targets,
      new Targets({ targets: [...targets.all].slice(1), defaultModel: 'm', aliases: new Map() }),
    );
    grant('b', 'one');
    expect(told).toEqual(['a at one', 'b at one']);
    control.receive({ type: 'target-removed', target: 'one' });
    releases.get('a')?.();
    await clock.advance(1000);
    expect(backend?.closed).toBe(0);
    releases.get('b')?.();
    await clock.advance(1000);
    expect(backend?.closed).toBe(1);
    expect(control.leavingOf('m')).toEqual([]);
  });

  it('ends all that waits when the control process is gone, and all that comes later', async () => {
    const { clock, told, enter, control } = worker('one');
    enter('a');
    control.end();
    enter('b');
    expect(told).toEqual(['a draining']);
    await clock.settle();
    expect(told).toEqual(['a draining', 'b draining']);
  });

  it('sends no time that never comes and no bound that is not there', () => {
    const { sent, enter } = worker('one');
    enter('a', { expiresAt: 70, deadlineAt: Number.POSITIVE_INFINITY, maxTokens: undefined });
    expect(JSON.parse(JSON.stringify(sent[0]))).toEqual({
      type: 'enqueue',
      entry: {
        id: 'a',
        model: 'm',
        client: 'client',
        priority: 'normal',
        promptTokens: 2,
        sizeBytes: 10,
        expiresAt: 70,
      },
    });
  });
});

describe('what a worker knows of the targets', () => {
  it('is all of it before it serves, and each change after that', async () => {
    const clock = new FakeClock();
    const targets = targetsOf('one', 'two');
    const side = new ControlSide(partsOf(targets, clock));
    const own = targetsOf('one', 'two');
    const { control } = side.connect('w1.1', partsOf(own, clock));
    const answers = () => control.slotQueue.alternative('m', { avoid: new Set() });
    expect(answers()).toBeUndefined();
    await clock.settle();
    await control.informed;
    expect(answers()).toEqual({ healthy: true, inService: true });
    for (const target of targets.all) side.local.setDrained(side.copyOf(target), true);
    await clock.settle();
    expect(own.all.map(({ health }) => health)).toEqual(['draining', 'draining']);
    expect(answers()).toBeUndefined();
  });

  it('tells it whether a target is busy with its trial', async () => {
    const clock = new FakeClock();
    const targets = targetsOf('one', 'two');
    const side = new ControlSide(partsOf(targets, clock));
    const [one, two] = targets.all.map((target) => side.copyOf(target));
    const { control } = side.connect('w1.1', partsOf(targetsOf('one', 'two'), clock));
    if (one === undefined || two === undefined) throw new Error('no targets');
    const request = { requestId: 'r' };
    for (let time = 0; time < 3; time += 1)
      side.local.onAttemptEnded(one, new ServingError('backend_error', { failure: 'reset' }), {
        request,
        startedAt: Number.MAX_SAFE_INTEGER,
        isRetry: false,
      });
    expect(one.health).toBe('ejected');
    await clock.advance(1500);
    expect(one.health).toBe('probing');
    const others = () => control.slotQueue.alternative('m', { avoid: new Set(['two']) });
    expect(others()).toEqual({ healthy: false, inService: true });
    let give = () => {};
    control.slotQueue.enter(entry(control.slotQueue.newEntryId()), {
      describe: () => undefined,
      granted: ({ release }) => {
        give = () =>
          release({ outcome: 'cancelled', promptTokens: 1, answerTokens: 0, firstTokenMs: undefined });
      },
      rejected: () => {},
    });
    await clock.settle();
    expect(others()).toBeUndefined();
    expect(control.slotQueue.alternative('m', { avoid: new Set(['two']), awaitsTrial: true })).toBeDefined();
    give();
    await clock.settle();
    expect(others()).toEqual({ healthy: false, inService: true });
  });

  it('includes whether somebody waits, so that a slot is not kept for the one that needs it', async () => {
    const clock = new FakeClock();
    const side = new ControlSide(partsOf(targetsOf('one'), clock));
    const [one, other] = ['w1.1', 'w2.1'].map(
      (name) => side.connect(name, partsOf(targetsOf('one'), clock), 1000).control,
    );
    const granted: string[] = [];
    const releases: (() => void)[] = [];
    const enter = (control: RemoteControl | undefined) => {
      if (control === undefined) return;
      const id = control.slotQueue.newEntryId();
      control.slotQueue.enter(entry(id), {
        describe: () => undefined,
        granted: ({ release }) => {
          granted.push(id);
          releases.push(() =>
            release({ outcome: 'completed', promptTokens: 1, answerTokens: 1, firstTokenMs: undefined }),
          );
        },
        rejected: () => {},
      });
    };
    enter(one);
    await clock.settle();
    releases[0]?.();
    await clock.settle();
    enter(other);
    await clock.settle();
    expect(granted).toEqual(['w1.1_entry_1', 'w2.1_entry_1']);
  });

  it('charges answers as the control process does', async () => {
    const clock = new FakeClock();
    const side = new ControlSide(partsOf(targetsOf('one'), clock));
    const { control } = side.connect('w1.1', partsOf(targetsOf('one'), clock));
    const later = side.connect('w2.1', partsOf(targetsOf('one'), clock)).control;
    const bounds = [
      { maxTokens: undefined, maxTokensIsDefault: false },
      { maxTokens: 40, maxTokensIsDefault: true },
      { maxTokens: 1000, maxTokensIsDefault: true },
      { maxTokens: 2_000_000_000, maxTokensIsDefault: false },
    ];
    const charged = (from: Pick<RemoteControl, 'reservedAnswerTokens'>) =>
      bounds.map((bound) => from.reservedAnswerTokens('m', bound));
    expect(charged(control)).toEqual(charged(side.local));
    for (const answerTokens of [10, 500, 3, 77]) {
      control.slotQueue.enter(entry(control.slotQueue.newEntryId()), {
        describe: () => undefined,
        granted: ({ release }) =>
          release({ outcome: 'completed', promptTokens: 2, answerTokens, firstTokenMs: undefined }),
        rejected: () => {},
      });
      await clock.settle();
    }
    await clock.advance(50);
    const [usual] = charged(side.local);
    expect(usual).not.toBe(256);
    expect([charged(control), charged(later)]).toEqual([charged(side.local), charged(side.local)]);
    const fresh = side.connect('w1.2', partsOf(targetsOf('one'), clock)).control;
    await clock.settle();
    expect(charged(fresh)).toEqual(charged(side.local));
  });
});

it('rejects what has waited for its time while the control process is silent, and keeps nothing that comes later', () => {
  const { clock, control, sent, told, enter, grant } = worker('t0');
  enter('short', { expiresAt: 1000 });
  enter('long', { expiresAt: 2000 });
  clock.pass(999);
  control.slotQueue.expire();
  expect(told).toEqual([]);
  clock.pass(1);
  control.slotQueue.expire();
  expect(told).toEqual(['short queue_timeout']);
  expect(sent.at(-1)).toEqual({ type: 'leave', id: 'short' });
  grant('short', 't0');
  grant('long', 't0');
  expect(told).toEqual(['short queue_timeout', 'long at t0']);
});
