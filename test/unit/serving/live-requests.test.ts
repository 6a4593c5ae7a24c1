import { describe, expect, it } from 'vitest';
import { ServingError } from '../../../src/core/errors.ts';
import type { GenerationEvent } from '../../../src/core/generation.ts';
import type { LiveState } from '../../../src/core/live-feed.ts';
import { callerNamed } from '../../support/callers.ts';
import { FINISH } from '../../support/fake-backend.ts';
import { ServedModels } from '../../support/served-models.ts';

const EPOCH = 1_700_000_000_000;
const TEXT: GenerationEvent = { type: 'text', text: 'hi' };
const failed = (retryAfterSeconds?: number) =>
  new ServingError('backend_error', {
    failure: 'rate_limited',
    ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
  });

function live({ serving }: ServedModels, owner?: string): LiveState {
  return serving.live({ owner, clientName: (client) => `name of ${client}` });
}

describe('what is shown of a request', () => {
  it('that runs: since when, where, in which batch, its first token, and its tokens so far', async () => {
    const models = new ServedModels({ one: { slots: 1 } });
    models.ask();
    await models.clock.advance(10);
    expect(live(models).running).toMatchObject([
      { id: expect.any(String), first_token_at_ms: null, completion_tokens: 0, attempt: 1 },
    ]);
    await models.clock.advance(20);
    models.lastAt('one').send({ type: 'start', promptTokens: 7 });
    for (const event of [TEXT, TEXT, TEXT]) models.lastAt('one').send(event);
    const state = live(models);
    expect(state.running).toMatchObject([
      {
        request_id: 'request_1',
        model: 'm',
        target: 'one',
        priority: 'normal',
        client: 'name of client',
        received_at_ms: EPOCH,
        started_at_ms: EPOCH,
        first_token_at_ms: EPOCH + 30,
        prompt_tokens: 7,
        completion_tokens: 3,
        batch: { size: 1 },
      },
    ]);
    expect(state.targets).toMatchObject([{ name: 'one', slots: 1, slots_used: 1, status: 'ready' }]);
    models.lastAt('one').send(FINISH);
    await models.clock.settle();
    expect(live(models).running).toEqual([]);
  });

  it('that pauses between two tries: until when, before all that wait', async () => {
    const models = new ServedModels({ one: { slots: 1, firstTokenTimeoutMs: 60_000 } });
    models.ask({ deadlineMs: 40_000 });
    await models.clock.settle();
    models.ask();
    models.ask();
    await models.clock.advance(5);
    models.lastAt('one').fail(failed(2));
    await models.clock.advance(500);
    const { queue, running } = live(models);
    expect(running.map(({ request_id: id }) => id)).toEqual(['request_2']);
    expect(queue).toMatchObject([
      {
        request_id: 'request_1',
        reason: 'retry_pause',
        attempt: 2,
        position: 1,
        enqueued_at_ms: EPOCH + 5,
        expires_at_ms: EPOCH + 40_000,
      },
      { request_id: 'request_3', reason: 'no_free_slot', position: 1, attempt: 1 },
    ]);
    expect(queue[0]?.eta_ms).toBeGreaterThan(0);
    expect(queue[0]?.eta_ms).toBeLessThanOrEqual(2000);
    // The pause is over; the slot is not free yet.
    await models.clock.advance(5000);
    expect(live(models).queue).toMatchObject([
      { request_id: 'request_1', reason: 'no_free_slot', attempt: 2, position: 1 },
      { request_id: 'request_3', reason: 'turn_of_others', position: 2 },
    ]);
  });
});

it('who sees only its own requests sees them in the places that they have among all', async () => {
  const models = new ServedModels({ one: { slots: 1 } });
  const asked = Array.from({ length: 5 }, () => models.ask());
  for (const [at, { trace }] of asked.entries()) trace.caller = callerNamed(at % 2 === 0 ? 'even' : 'odd');
  await models.clock.settle();
  const odd = live(models, 'key_odd');
  expect(odd.running).toEqual([]);
  expect(odd.queue.map(({ request_id: id, position, reason }) => [id, position, reason])).toEqual([
    ['request_2', 1, 'no_free_slot'],
    ['request_4', 3, 'turn_of_others'],
  ]);
  const even = live(models, 'key_even');
  expect(even.running.map(({ request_id: id }) => id)).toEqual(['request_1']);
  expect(even.queue.map(({ request_id: id, position }) => [id, position])).toEqual([
    ['request_3', 2],
    ['request_5', 4],
  ]);
  expect(odd.models).toEqual([{ id: 'm', waiting: 4, running: 1 }]);
  expect(live(models, 'nobody')).toMatchObject({ queue: [], running: [] });
});
