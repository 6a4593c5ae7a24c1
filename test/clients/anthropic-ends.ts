/** How answers to the Anthropic SDK end when they are not answered: left, refused, broken off, put off. */
import Anthropic, { APIError, BadRequestError, NotFoundError, RateLimitError } from '@anthropic-ai/sdk';
import { expect } from 'vitest';
import { asking, STORY, sdk } from './anthropic-requests.ts';
import type { Served } from './client-suite.ts';

/** Of the range for examples: nobody else asks from there. */
const ADDRESSES = { patient: '203.0.113.5', hasty: '203.0.113.6' };

export async function abort(served: Served): Promise<void> {
  const helper = sdk(served).messages.stream({ ...asking(served, STORY), max_tokens: 400 });
  const left = helper.finalMessage().catch((error: unknown) => error);
  await helper.emitted('text');
  helper.abort();
  expect(await left).toBeInstanceOf(Anthropic.APIUserAbortError);
  await expect.poll(() => served.slotsUsed(), { timeout: 2000, interval: 10 }).toBe(0);
}

export async function errors(served: Served): Promise<void> {
  const { messages } = sdk(served);
  const unknown: unknown = await messages
    .create({ ...asking(served), model: 'nobody' })
    .catch((error: unknown) => error);
  expect(unknown).toBeInstanceOf(NotFoundError);
  expect(unknown).toMatchObject({
    status: 404,
    type: 'not_found_error',
    requestID: expect.any(String),
    message: expect.stringContaining('nobody'),
  });
  await expect(messages.create({ ...asking(served), stop_sequences: [''] })).rejects.toBeInstanceOf(
    BadRequestError,
  );
  const long: unknown = await messages
    .create({ ...asking(served, 'word '.repeat(20_000)) })
    .catch((error: unknown) => error);
  expect(long).toBeInstanceOf(BadRequestError);
  expect(long).toMatchObject({
    type: 'invalid_request_error',
    message: expect.stringContaining('prompt is too long'),
  });
  const streamed = messages.stream({ ...asking(served), model: 'nobody' }).finalMessage();
  await expect(streamed).rejects.toBeInstanceOf(NotFoundError);
}

export async function failure(served: Served): Promise<void> {
  expect(served.failMidStream).toBeDefined();
  const mend = await served.failMidStream?.();
  try {
    const raw = async () => {
      for await (const _ of await sdk(served).messages.create({ ...asking(served, STORY), stream: true }));
    };
    await expect(raw()).rejects.toBeInstanceOf(APIError);
    const helped = sdk(served).messages.stream(asking(served, STORY)).finalMessage();
    await expect(helped).rejects.toBeInstanceOf(APIError);
    const whole = sdk(served).messages.create(asking(served, STORY));
    await expect(whole).rejects.toBeInstanceOf(Anthropic.InternalServerError);
  } finally {
    await mend?.();
  }
}

export async function retry(served: Served): Promise<void> {
  const statuses: number[] = [];
  const limited = (address: string) =>
    new Anthropic({
      baseURL: served.limitedUrl,
      apiKey: 'none',
      defaultHeaders: { 'X-Forwarded-For': address },
      fetch: async (input, init) => {
        const response = await fetch(input, init);
        statuses.push(response.status);
        return response;
      },
    });
  const ask = { ...asking(served), max_tokens: 2 };
  const { messages } = limited(ADDRESSES.patient);
  const both = await Promise.all([messages.create(ask), messages.create(ask)]);
  expect(both.map(({ type }) => type)).toEqual(['message', 'message']);
  expect(statuses.toSorted()).toEqual([200, 200, 429]);
  const hasty = limited(ADDRESSES.hasty);
  const settled = await Promise.allSettled(
    [ask, ask].map((each) => hasty.messages.create(each, { maxRetries: 0 })),
  );
  const refused = settled.filter((each) => each.status === 'rejected');
  expect(refused.map(({ reason }) => reason)).toEqual([expect.any(RateLimitError)]);
}
