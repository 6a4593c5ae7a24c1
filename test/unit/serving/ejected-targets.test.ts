import { describe, expect, it } from 'vitest';
import { ServingError } from '../../../src/core/errors.ts';
import { FINISH } from '../../support/fake-backend.ts';
import { ServedModels } from '../../support/served-models.ts';

const FAULT = new ServingError('backend_error', { failure: 'server_error' });

/** `one` is ejected: three requests failed there, which `two` answered. `idle`: further targets. */
async function withOneEjected(idle: readonly string[] = []) {
  const models = new ServedModels(Object.fromEntries(['one', 'two', ...idle].map((name) => [name, {}])));
  models.serving.start();
  await models.clock.settle();
  for (let time = 0; time < 3; time += 1) {
    models.ask();
    await models.clock.settle();
    models.lastAt('one').fail(FAULT);
    await models.clock.settle();
    models.lastAt('two').send(FINISH);
    await models.clock.settle();
  }
  const health = () => models.targets.map((target) => target.health);
  expect(health()).toEqual(['ejected', 'ready', ...idle.map(() => 'ready')]);
  // What begins now began after the ejection.
  await models.clock.advance(1);
  return { models, health };
}

describe('an ejected target', () => {
  it('gets a request that the last target in service has failed, and is back if it answers', async () => {
    const { models, health } = await withOneEjected();
    const asked = models.ask();
    await models.clock.settle();
    const before = models.runsAt('one').length;
    models.lastAt('two').fail(FAULT);
    await models.clock.settle();
    expect(models.runsAt('one').length).toBe(before + 1);
    models.lastAt('one').send(FINISH);
    await models.clock.settle();
    expect(asked.outcome()).toBe('finished');
    expect(asked.trace.attempts?.map(({ target }) => target)).toEqual(['two', 'one']);
    expect(health()).toEqual(['ready', 'ready']);
    await models.serving.close();
  });

  it('gets no request that has failed nowhere, even if no other has a free slot', async () => {
    const { models } = await withOneEjected();
    const before = models.runsAt('one').length;
    for (let request = 0; request < 5; request += 1) models.ask();
    await models.clock.settle();
    expect(models.runsAt('one').length).toBe(before);
    await models.serving.close();
  });

  it('does not hold up a failed request while it answers another one on trial', async () => {
    const { models, health } = await withOneEjected();
    await models.clock.advance(1500);
    expect(health()).toEqual(['probing', 'ready']);
    const trial = models.ask();
    await models.clock.settle();
    const asked = models.ask();
    await models.clock.settle();
    models.lastAt('two').fail(FAULT);
    await models.clock.advance(200);
    models.lastAt('two').send(FINISH);
    await models.clock.settle();
    expect(asked.outcome()).toBe('finished');
    expect(asked.trace.attempts?.map(({ target }) => target)).toEqual(['two', 'two']);
    expect(trial.outcome()).toBeUndefined();
    models.lastAt('one').send(FINISH);
    await models.serving.close();
  });

  it('gets no failed request while another target in service is left for it', async () => {
    const { models } = await withOneEjected(['three']);
    const before = models.runsAt('one').length;
    const asked = models.ask();
    await models.clock.settle();
    models.lastAt('two').fail(FAULT);
    await models.clock.settle();
    expect(models.runsAt('one').length).toBe(before);
    models.lastAt('three').send(FINISH);
    await models.clock.settle();
    expect(asked.outcome()).toBe('finished');
    await models.serving.close();
  });
});
