import { describe, expect, it } from 'vitest';
import { ServingError } from '../../../src/core/errors.ts';
import type { FailureCause } from '../../../src/core/failure.ts';
import { FINISH } from '../../support/fake-backend.ts';
import { ServedModels } from '../../support/served-models.ts';

function failure(cause: FailureCause, retryAfterSeconds?: number): ServingError {
  return new ServingError('backend_error', {
    failure: cause,
    message: `it failed: ${cause}`,
    ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
  });
}

/** Two targets with two slots each; a request that `bad` fails is not tried again. */
function twoTargets() {
  const models = new ServedModels({ bad: {}, good: {} }, { retry: { attempts: 1 } });
  models.serving.start();
  const health = () => models.targets.map((target) => target.health);
  /** Requests one after the other; those that reach `bad` end with `error`, or well. Returns where each went. */
  const ask = async (times: number, error: ServingError | undefined) => {
    const at: (string | undefined)[] = [];
    for (let time = 0; time < times; time += 1) {
      const asked = models.ask();
      await models.clock.settle();
      const target = asked.trace.target ?? '';
      const run = models.lastAt(target);
      if (target === 'bad' && error !== undefined) run.fail(error);
      else run.send(FINISH);
      await models.clock.settle();
      at.push(target);
    }
    return at;
  };
  return { models, health, ask };
}

describe('a target whose probe passes while its requests fail', () => {
  it('is asked three times, then left alone for its back-off, then tried with one request', async () => {
    const { models, health, ask } = twoTargets();
    await models.clock.settle();
    expect(await ask(5, failure('server_error'))).toEqual(['bad', 'bad', 'bad', 'good', 'good']);
    expect(health()).toEqual(['ejected', 'ready']);
    await models.clock.advance(999);
    expect(await ask(1, failure('server_error'))).toEqual(['good']);
    await models.clock.advance(1);
    expect(health()).toEqual(['probing', 'ready']);
    const [trial, other] = [models.ask(), models.ask()];
    await models.clock.settle();
    expect([trial.trace.target, other.trace.target]).toEqual(['bad', 'good']);
    models.lastAt('bad').fail(failure('server_error'));
    models.lastAt('good').send(FINISH);
    await models.clock.settle();
    expect(health()).toEqual(['ejected', 'ready']);
    await models.clock.advance(2000);
    expect(await ask(3, undefined)).toEqual(['bad', 'bad', 'bad']);
    expect(health()).toEqual(['ready', 'ready']);
    expect(models.warnings.filter((line) => line.startsWith('target is'))).toEqual([
      'target is degraded: 2 requests in a row failed, the last with server_error',
      'target is ejected for 1.0 s: 3 requests in a row failed, the last with server_error',
      'target is ejected for 2.0 s: the request that it got failed (server_error)',
    ]);
    const [bad] = models.targets;
    expect(bad && [...models.serving.ejectionsOf(bad)]).toEqual([['server_error', 2]]);
    await models.serving.close();
    expect(models.clock.pendingTimers).toBe(0);
  });

  it('lets another request through when the first one of its trial was cancelled', async () => {
    const { models, health, ask } = twoTargets();
    await ask(3, failure('reset'));
    await models.clock.advance(1000);
    const cancelled = models.ask();
    await models.clock.settle();
    expect(cancelled.trace.target).toBe('bad');
    cancelled.cancellation.cancel(new ServingError('client_gone'));
    await models.clock.settle();
    expect(health()).toEqual(['probing', 'ready']);
    expect(await ask(1, undefined)).toEqual(['bad']);
    expect(health()).toEqual(['ready', 'ready']);
  });

  it('is left alone for as long as the server asks', async () => {
    const { models, health, ask } = twoTargets();
    expect(await ask(2, failure('rate_limited', 7))).toEqual(['bad', 'good']);
    await models.clock.advance(6999);
    expect(health()).toEqual(['ejected', 'ready']);
    await models.clock.advance(1);
    expect(health()).toEqual(['probing', 'ready']);
  });

  it('returns before its time when the other target goes down, and serves as well as it can', async () => {
    const { models, health, ask } = twoTargets();
    await ask(3, failure('server_error'));
    models.backend('good').status = { state: 'unreachable', loaded: false };
    await models.clock.advance(1000);
    expect(health()).toEqual(['degraded', 'down']);
    expect(models.serving.targets.readiness({ draining: false }).status).toBe('ready');
    expect(await ask(5, failure('server_error'))).toEqual(['bad', 'bad', 'bad', 'bad', 'bad']);
    expect(health()).toEqual(['degraded', 'down']);
  });

  it('does not return by the late success of a request that began before its ejection', async () => {
    const { models, health, ask } = twoTargets();
    const old = models.ask();
    await models.clock.settle();
    const run = models.lastAt('bad');
    await models.clock.advance(1);
    for (let time = 0; time < 3; time += 1) {
      const long = { request: { limits: { stop: [], maxTokens: 100_000 } } };
      const [filler, failing] = [models.ask(long), models.ask()];
      await models.clock.settle();
      expect([filler.trace.target, failing.trace.target]).toEqual(['good', 'bad']);
      models.lastAt('bad').fail(failure('server_error'));
      models.lastAt('good').send(FINISH);
      await models.clock.settle();
    }
    expect(health()).toEqual(['ejected', 'ready']);
    run.send(FINISH);
    await models.clock.settle();
    expect(old.outcome()).toBe('finished');
    expect(health()).toEqual(['ejected', 'ready']);
    expect(await ask(2, undefined)).toEqual(['good', 'good']);
  });
});

describe('a target that is slow', () => {
  it('never leaves its model without a target', async () => {
    const { models, health, ask } = twoTargets();
    models.backend('good').status = { state: 'failed', loaded: false };
    await models.clock.advance(1000);
    await ask(20, failure('first_token_timeout'));
    expect(health()).toEqual(['degraded', 'down']);
    expect(await ask(2, undefined)).toEqual(['bad', 'bad']);
    expect(health()).toEqual(['degraded', 'down']);
  });
});

describe('a request that fails wherever it goes', () => {
  it('ejects no target, however often it comes; one that fails at one target alone does', async () => {
    const models = new ServedModels({ one: {}, two: {}, three: {} }, { retry: { attempts: 3 } });
    models.serving.start();
    await models.clock.settle();
    const health = () => models.targets.map((target) => target.health);
    for (let time = 0; time < 10; time += 1) {
      const asked = models.ask();
      for (let attempt = 0; attempt < 3; attempt += 1) {
        await models.clock.settle();
        models.lastAt(asked.trace.target ?? '').fail(failure('server_error'));
      }
      await models.clock.settle();
      expect(asked.trace.attempts?.length).toBe(3);
    }
    expect(health()).toEqual(['ready', 'ready', 'ready']);
    for (let time = 0; time < 3; time += 1) {
      const asked = models.ask();
      await models.clock.settle();
      expect(asked.trace.target).toBe('one');
      models.lastAt('one').fail(failure('server_error'));
      await models.clock.settle();
      models.lastAt(asked.trace.target ?? '').send({ type: 'text', text: 'a' });
      await models.clock.settle();
      expect(health()[0]).toBe(['ready', 'degraded', 'ejected'][time]);
      models.lastAt(asked.trace.target ?? '').send(FINISH);
      await models.clock.settle();
    }
    expect(health().slice(1)).toEqual(['ready', 'ready']);
  });

  it('says more of targets that it cannot reach', async () => {
    const models = new ServedModels({ one: {}, two: {} }, { retry: { attempts: 2 } });
    models.serving.start();
    for (let time = 0; time < 3; time += 1) {
      const asked = models.ask();
      for (let attempt = 0; attempt < 2; attempt += 1) {
        await models.clock.settle();
        models.lastAt(asked.trace.target ?? '').fail(failure('reset'));
      }
      await models.clock.settle();
    }
    expect(models.targets.map(({ health }) => health)).toContain('ejected');
  });
});
