/** How answers to the Anthropic SDK end when they are not answered: left, refused, broken off, put off. */
import Anthropic, { APIError, BadRequestError, NotFoundError, RateLimitError } from '@anthropic-ai/sdk';
import { expect } from 'vitest';
import { asking, STORY, sdk } from './anthropic-requests.ts';
import { expectSlotFreed, LONG_QUESTION, watchedFetch } from './asked.ts';
import type { Served } from './client-suite.ts';

export async function abort(served: Served): Promise<void> {
  await expectSlotFreed(served, async () => {
    const helper = sdk(served).messages.stream({ ...asking(served, LONG_QUESTION), max_tokens: 400 });
    const left = helper.finalMessage().catch((error: unknown) => error);
    await helper.emitted('text');
    helper.abort();
    expect(await left).toBeInstanceOf(Anthropic.APIUserAbortError);
  });
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
  const limited = limitedClient(served);
  const busy = limitedClient(served);
  const ask = { ...asking(served), max_tokens: 1 };
  await Promise.all([
    ...[1, 2].map(() => limited.client.messages.create(ask)),
    served.whileBusy('anthropic', async (model) => {
      await busy.client.messages.create({ ...ask, model });
    }),
  ]);
  expect(limited.statuses.toSorted()).toEqual([200, 200, 429]);
  expect(busy.statuses).toEqual([529, 200]);
  const hasty = limitedClient(served, 0);
  const settled = await Promise.allSettled([ask, ask].map((each) => hasty.client.messages.create(each)));
  const refused = settled.filter((each) => each.status === 'rejected');
  expect(refused.map(({ reason }) => reason)).toEqual([expect.any(RateLimitError)]);
}

/** With the client's own number of retries where none is given. */
function limitedClient({ limitedUrl }: Served, maxRetries?: number) {
  const { fetch, statuses } = watchedFetch();
  const retries = maxRetries === undefined ? {} : { maxRetries };
  const client = new Anthropic({ baseURL: limitedUrl, apiKey: 'none', fetch, ...retries });
  return { client, statuses };
}
