import { expect, it } from 'vitest';
import { preparedOrder } from '../../../../src/backends/llama-cpp/prepared-order.ts';
import { ServingError } from '../../../../src/core/errors.ts';

const settled = () => new Promise((resolve) => setImmediate(resolve));

function setUp(prepare: (signal: AbortSignal) => Promise<string>) {
  const heard: string[] = [];
  const sink = {
    failed: (error: Error) =>
      void heard.push(`failed: ${error instanceof ServingError ? error.code : error}`),
    freed: () => void heard.push('freed'),
  };
  const run = (order: string) => {
    heard.push(`ran ${order}`);
    return { abort: () => void heard.push('aborted') };
  };
  return { heard, order: preparedOrder({ prepare, run }, sink) };
}

it('runs when it is prepared, and is aborted where it runs', async () => {
  const { heard, order } = setUp(async () => 'it');
  await settled();
  order.abort();
  expect(heard).toEqual(['ran it', 'aborted']);
});

it('fails with what its preparation throws', async () => {
  const { heard } = setUp(async () => {
    throw new ServingError('invalid_request');
  });
  const fault = setUp(async () => {
    throw new Error('a fault');
  });
  await settled();
  expect([heard, fault.heard]).toEqual([['failed: invalid_request'], ['failed: internal']]);
});

it('is free, and never run, when it is aborted while it is prepared', async () => {
  const leaving = setUp(
    (signal) =>
      new Promise((_, reject) =>
        signal.addEventListener('abort', () => reject(signal.reason), { once: true }),
      ),
  );
  leaving.order.abort();
  const late = setUp(async () => 'it');
  late.order.abort();
  await settled();
  expect([leaving.heard, late.heard]).toEqual([['freed'], ['freed']]);
});
