import { describe, expect, it } from 'vitest';
import { Cancellation } from '../../../src/core/cancellation.ts';
import { ServingError } from '../../../src/core/errors.ts';
import { silentLog } from '../../../src/core/log.ts';
import { Serving, type ServingChanges } from '../../../src/serving/serving.ts';
import type { Target } from '../../../src/serving/targets.ts';
import { controlShape } from '../../support/control-shape.ts';
import { FakeBackend, FINISH, fakeTarget, textRequest } from '../../support/fake-backend.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { NO_RETRY, SCHEDULER } from '../../support/scheduling.ts';

/** Notes that it was closed. */
class ClosableBackend extends FakeBackend {
  closed = 0;

  override async close(): Promise<void> {
    this.closed += 1;
  }
}

function place(id: string, changes: Partial<Target> = {}) {
  const backend = new ClosableBackend();
  const status = { state: 'ready', loaded: true } as const;
  return {
    backend,
    target: fakeTarget(backend, { id, slots: 1, firstTokenTimeoutMs: 60_000, status, ...changes }),
  };
}

async function start(...targets: readonly Target[]) {
  const clock = new FakeClock();
  const settings = {
    defaultModel: 'm',
    aliases: new Map(),
    fallbackModels: new Map(),
    dropUnsupported: false,
    scheduler: SCHEDULER,
    queueTimeoutMs: 50_000,
    retry: NO_RETRY,
    resume: 'auto',
  } as const;
  const fatal: string[] = [];
  const { createControl } = controlShape;
  const serving = new Serving({
    clock,
    log: silentLog,
    targets,
    ...settings,
    onTokenGap: () => {},
    ...(createControl !== undefined && { createControl }),
    onFatal: ({ id }) => void fatal.push(id),
  });
  serving.start();
  await clock.settle();
  const ended: string[] = [];
  const ask = async (id: string, model = 'm') => {
    serving.generate(
      {
        request: { ...textRequest(id), model },
        client: 'client',
        priority: 'normal',
        cancellation: new Cancellation(),
        deadlineAt: clock.now() + 60_000,
        trace: { requestId: id, receivedAt: clock.now() },
      },
      {
        event: ({ type }) => void (type === 'finish' && ended.push(id)),
        fail: ({ code }) => void ended.push(`${id}: ${code}`),
      },
    );
    await clock.settle();
  };
  const apply = async (changes: Partial<ServingChanges> & Pick<ServingChanges, 'targets'>) => {
    serving.apply({ ...settings, ...changes });
    await clock.settle();
  };
  return { clock, serving, ask, apply, ended, fatal };
}

const runs = ({ backend }: { readonly backend: FakeBackend }) =>
  backend.runs.map(({ request }) => request.id);

async function finish(clock: FakeClock, { backend }: { readonly backend: FakeBackend }, id: string) {
  backend.runs.find(({ request }) => request.id === id)?.send(FINISH);
  await clock.settle();
}

describe('other targets while requests run and wait', () => {
  it('a removed one is closed when its last request has ended, and not before', async () => {
    const [one, two] = [place('one'), place('two')];
    const { clock, ask, apply, ended } = await start(one.target, two.target);
    await ask('a');
    await ask('b');
    await apply({ targets: [two.target] });
    await clock.advance(2000);
    expect([one.backend.closed, two.backend.closed]).toEqual([0, 0]);
    await finish(clock, one, 'a');
    await clock.advance(200);
    expect([one.backend.closed, two.backend.closed]).toEqual([1, 0]);
    expect(ended).toContain('a');
  });

  it('an ejected one returns when the only other one is removed or drained', async () => {
    for (const leaves of ['removed', 'drained'] as const) {
      const [ejected, healthy] = [place('ejected'), place('healthy')];
      const { clock, serving, ask, apply } = await start(ejected.target, healthy.target);
      for (const id of ['a', 'b', 'c']) {
        await ask(id);
        ejected.backend.runs.at(-1)?.fail(new ServingError('backend_error', { failure: 'reset' }));
        await clock.settle();
      }
      expect(ejected.target.health).toBe('ejected');
      if (leaves === 'removed') await apply({ targets: [ejected.target] });
      else serving.setDrained('healthy', true);
      await clock.settle();
      expect(ejected.target.health, leaves).toBe('degraded');
      await serving.close();
    }
  });

  it('one that is replaced under the same name keeps its request; what waits goes to the new one', async () => {
    const [old, fresh] = [place('same'), place('same')];
    const { clock, ask, apply, ended } = await start(old.target);
    await ask('a');
    await ask('b');
    await apply({ targets: [fresh.target] });
    expect([runs(old), runs(fresh)]).toEqual([['a'], ['b']]);
    await finish(clock, old, 'a');
    await finish(clock, fresh, 'b');
    expect(ended).toEqual(['a', 'b']);
  });

  it('a removed model serves what waits for it, then its targets are closed', async () => {
    const [one, other] = [place('one'), place('other', { model: 'n' })];
    const { clock, serving, ask, apply, ended } = await start(one.target, other.target);
    await ask('a', 'n');
    await ask('b', 'n');
    await apply({ targets: [one.target] });
    expect(() => serving.targets.requireModel('n')).toThrowError(
      expect.objectContaining({ code: 'model_not_found' }),
    );
    await finish(clock, other, 'a');
    expect(runs(other)).toEqual(['a', 'b']);
    await clock.advance(200);
    expect(other.backend.closed).toBe(0);
    await finish(clock, other, 'b');
    await clock.advance(200);
    expect({ ended, closed: other.backend.closed }).toEqual({ ended: ['a', 'b'], closed: 1 });
  });

  it('one that stays gets what changed of it at once', async () => {
    const one = place('one');
    const { ask, apply } = await start(one.target);
    await ask('a');
    await ask('b');
    Object.assign(one.target, { slots: 2, slotsConfigured: true });
    await apply({ targets: [one.target] });
    expect(runs(one)).toEqual(['a', 'b']);
  });

  it('limits of the queue count from then on', async () => {
    const one = place('one');
    const { ask, apply, ended } = await start(one.target);
    await ask('a');
    await ask('b');
    await apply({ targets: [one.target], scheduler: { ...SCHEDULER, maxQueue: 1 } });
    await ask('c');
    expect(ended).toEqual(['c: queue_full']);
  });

  it('the end of the server closes those that leave as well', async () => {
    const [one, two, other] = [place('one'), place('two'), place('other', { model: 'n' })];
    const { serving, ask, apply } = await start(one.target, two.target, other.target);
    for (const [id, model] of [
      ['a', 'm'],
      ['b', 'm'],
      ['c', 'n'],
      ['d', 'n'],
    ] as const)
      await ask(id, model);
    await apply({ targets: [two.target] });
    await serving.close();
    expect([one, two, other].map(({ backend }) => backend.closed)).toEqual([1, 1, 1]);
  });

  it('an embedded model that cannot be loaded ends the server only if it was there at the start', async () => {
    class Unloadable extends ClosableBackend {
      override async warmUp(): Promise<void> {
        throw new Error('no such file');
      }
    }
    const first = fakeTarget(new Unloadable(), { id: 'first', embedded: true });
    const later = fakeTarget(new Unloadable(), { id: 'later', embedded: true });
    const { apply, fatal } = await start(first);
    expect(fatal).toEqual(['first']);
    await apply({ targets: [first, later] });
    expect(fatal).toEqual(['first']);
  });
});
