import { describe, expect, it } from 'vitest';
import type { Caller } from '../../../src/core/caller.ts';
import { type ConsumedTry, Consumption } from '../../../src/core/consumption.ts';
import type { ErrorCode } from '../../../src/core/errors.ts';
import { Prices } from '../../../src/usage/prices.ts';
import { type EndedRequest, UsageAccumulator } from '../../../src/usage/usage-accumulator.ts';

const HOUR_MS = 3_600_000;
const NOON = Date.UTC(2026, 0, 31, 12);
const PRICES = new Prices({ m: { prompt: 1, completion: 2 }, small: { completion: 1 } });

const ALICE = { id: 'key_1', name: 'alice', team: 'red' } as Caller;
const BOB = { id: 'key_2', name: 'bob', team: undefined } as Caller;

function consumed(...tries: Partial<ConsumedTry>[]): Consumption {
  const consumption = new Consumption();
  for (const each of tries) {
    const { model = 'm', target = 't', slotMs = 0 } = each;
    const { promptTokens = 0, cachedTokens = 0, completionTokens: answerTokens = 0 } = each;
    const used = { promptTokens, cachedTokens, answerTokens };
    consumption.add({ attempt: { model, target, startedAt: 0 }, used, now: slotMs, costs: true });
  }
  return consumption;
}

function accumulated(
  requests: readonly (EndedRequest & { readonly at?: number })[],
  room = Number.POSITIVE_INFINITY,
) {
  const accumulator = new UsageAccumulator();
  for (const { at = NOON, ...ended } of requests) accumulator.add(ended, { now: at, room, prices: PRICES });
  return accumulator;
}

const rowsOf = (...requests: (EndedRequest & { readonly at?: number })[]) => accumulated(requests).take(1000);

describe('usage', () => {
  it('of the same hour, caller, model and target is one row of sums', () => {
    const once = {
      caller: ALICE,
      model: 'm',
      target: 't',
      consumed: consumed({ promptTokens: 10, cachedTokens: 4, completionTokens: 5, slotMs: 30.4 }),
    };
    expect(rowsOf({ ...once, at: NOON + 1 }, { ...once, at: NOON + HOUR_MS - 1 })).toEqual([
      {
        hour: NOON,
        caller: 'key_1',
        team: 'red',
        model: 'm',
        target: 't',
        requests: 2,
        errors: 0,
        rejections: 0,
        promptTokens: 20,
        cachedTokens: 8,
        completionTokens: 10,
        costNano: 2 * (10 * 1000 + 5 * 2000),
        slotMs: 61,
      },
    ]);
  });

  it.each([
    ['callers', { caller: BOB }],
    ['models', { model: 'other' }],
    ['targets', { target: 'other' }],
    ['hours', { at: NOON + HOUR_MS }],
    ['teams, where a key has changed to another one', { caller: { ...ALICE, team: 'blue' } }],
  ])('of different %s is in different rows', (_, changes) => {
    const once = { caller: ALICE, model: 'm', target: 't' };
    expect(rowsOf(once, { ...once, ...changes }, once, { ...once, ...changes })).toHaveLength(
      'at' in changes ? 4 : 2,
    );
  });

  it.each<[string, ErrorCode | undefined, readonly [number, number, number]]>([
    ['an answer', undefined, [1, 0, 0]],
    ['a client that left', 'client_gone', [1, 0, 0]],
    ['a fault of the backend', 'backend_error', [1, 1, 0]],
    ['a fault of the request', 'invalid_request', [1, 1, 0]],
    ['a deadline', 'deadline_exceeded', [1, 1, 0]],
    ['a limit', 'rate_limited', [1, 0, 1]],
    ['a budget', 'budget_exceeded', [1, 0, 1]],
    ['a full queue', 'queue_full', [1, 0, 1]],
    ['a model that may not be asked', 'model_not_allowed', [1, 1, 0]],
  ])('counts %s', (_, errorCode, [requests, errors, rejections]) => {
    expect(rowsOf({ caller: ALICE, ...(errorCode && { errorCode }) })).toMatchObject([
      { requests, errors, rejections },
    ]);
  });

  it('has nothing of those whom the door keeps out', () => {
    const codes: ErrorCode[] = ['missing_api_key', 'invalid_api_key', 'too_many_attempts', 'forbidden'];
    expect(rowsOf(...codes.map((errorCode) => ({ errorCode })))).toEqual([]);
  });

  it('has a request without a key, and one that was refused before its model was known', () => {
    expect(rowsOf({ errorCode: 'invalid_request' })).toMatchObject([
      { caller: '', team: '', model: '', target: '', requests: 1, errors: 1 },
    ]);
  });

  it('has what each try consumed at its own target, and the request where it was answered', () => {
    const rows = rowsOf({
      caller: ALICE,
      model: 'm',
      target: 'second',
      consumed: consumed(
        { target: 'first', promptTokens: 7, slotMs: 5 },
        { target: 'second', promptTokens: 7, completionTokens: 3, slotMs: 9 },
      ),
    });
    expect(rows).toMatchObject([
      { target: 'second', requests: 1, promptTokens: 7, completionTokens: 3, slotMs: 9 },
      { target: 'first', requests: 0, promptTokens: 7, completionTokens: 0, slotMs: 5 },
    ]);
  });

  it('goes by the model that answered, at its price', () => {
    const rows = rowsOf({
      caller: ALICE,
      model: 'm',
      servedModel: 'small',
      target: 's',
      consumed: consumed({ model: 'small', target: 's', completionTokens: 8 }),
    });
    expect(rows).toMatchObject([{ model: 'small', requests: 1, completionTokens: 8, costNano: 8000 }]);
  });

  it('beyond the room for rows is dropped and counted; rows that are there go on', () => {
    const requests = [{ caller: ALICE }, { caller: BOB }, { caller: ALICE }, { caller: BOB }];
    const accumulator = accumulated(requests, 1);
    expect(accumulator.dropped).toBe(2);
    expect(accumulator.take(10)).toMatchObject([{ caller: 'key_1', requests: 2 }]);
  });

  it('that was taken is not added to any more', () => {
    const accumulator = accumulated([{ caller: ALICE }, { caller: BOB }]);
    const [taken] = accumulator.take(1);
    accumulator.add({ caller: ALICE }, { now: NOON, room: 10, prices: PRICES });
    accumulator.add({ caller: BOB }, { now: NOON, room: 10, prices: PRICES });
    expect(taken).toMatchObject({ caller: 'key_1', requests: 1 });
    const sums = new Map<string, number>();
    for (const { caller, requests } of accumulator.take(10))
      sums.set(caller, (sums.get(caller) ?? 0) + requests);
    expect(Object.fromEntries(sums)).toEqual({ key_1: 1, key_2: 2 });
  });
});

it('of teams is added up since the start, whatever was taken or dropped', () => {
  const accumulator = new UsageAccumulator();
  const ended = { caller: ALICE, model: 'm', target: 't', consumed: consumed({ completionTokens: 2 }) };
  const add = (room: number) => accumulator.add(ended, { now: NOON, room, prices: PRICES });
  add(1);
  accumulator.take(1);
  add(0);
  expect([...accumulator.teams.all()]).toMatchObject([
    ['red', { requests: 2, completionTokens: 4, costNano: 8000 }],
  ]);
});
