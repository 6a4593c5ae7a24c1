import { expect, it } from 'vitest';
import { ServingError } from '../../../src/core/errors.ts';
import { type Droppable, type Feature, refuseUnsupported } from '../../../src/core/features.ts';
import type { GenerationEvent, GenerationRequest } from '../../../src/core/generation.ts';
import type { Receipt } from '../../../src/core/receipt.ts';
import { leavingAway } from '../../../src/serving/leaving-away.ts';
import { FINISH } from '../../support/fake-backend.ts';
import { chatRequest } from '../../support/stand-ins/generate.ts';

const TEXT: GenerationEvent = { type: 'text', text: 'hi' };

/** A backend that can do little; keeps what it was asked in the end. */
function askPlainBackend(
  request: GenerationRequest,
  supports: readonly Feature[] = [],
  droppable: Droppable = 'settings',
) {
  const receipt: Receipt = { requestId: 'r', receivedAt: 0 };
  const asked: GenerationRequest[] = [];
  let freed = 0;
  const start = (wanted: GenerationRequest) => {
    const answered = (async function* (): AsyncGenerator<GenerationEvent> {
      refuseUnsupported(wanted, { backend: 'plain', supports });
      asked.push(wanted);
      yield TEXT;
      yield FINISH;
    })();
    return {
      next: () => answered.next(),
      return: async () => {
        freed += 1;
        return { done: true as const, value: undefined };
      },
    };
  };
  const events = leavingAway({ request, receipt, droppable, start });
  const all = async () => {
    const got: GenerationEvent[] = [];
    for await (const event of { [Symbol.asyncIterator]: () => events }) got.push(event);
    return got;
  };
  return { all, events, receipt, asked, freed: () => freed };
}

it('a field that the backend cannot honour is left away and noted, one after the other', async () => {
  const request = chatRequest('hi', {
    sampling: { topK: 5, temperature: 0.5 },
    output: { kind: 'json-schema', schema: {} },
    thinking: 'low',
  });
  const { all, asked, receipt } = askPlainBackend(request);
  expect(await all()).toEqual([TEXT, FINISH]);
  expect(receipt.droppedFields).toEqual(['format', 'top_k', 'think']);
  const { output: _output, thinking: _thinking, ...rest } = request;
  expect(asked).toEqual([{ ...rest, sampling: { temperature: 0.5 } }]);
});

it('a request that the backend can honour is asked as it is', async () => {
  const request = chatRequest('hi', { sampling: { topK: 5 } });
  const { all, asked, receipt } = askPlainBackend(request, ['top-k']);
  expect(await all()).toEqual([TEXT, FINISH]);
  expect(asked).toEqual([request]);
  expect(receipt.droppedFields).toBeUndefined();
});

it('what is content is refused all the same', async () => {
  const images = [{ mediaType: 'image/png', base64: 'AA==', at: 0 }];
  const input = { kind: 'chat', messages: [{ role: 'user', content: 'hi', images }] } as const;
  const { all, receipt } = askPlainBackend(chatRequest('hi', { input }));
  await expect(all()).rejects.toMatchObject({
    code: 'unsupported_parameter',
    param: 'messages[0].images',
  });
  expect(receipt.droppedFields).toBeUndefined();
});

it('any other failure is passed on, and is no reason to ask again', async () => {
  const failing = leavingAway({
    request: chatRequest('hi'),
    receipt: { requestId: 'r', receivedAt: 0 },
    droppable: 'settings',
    start: () => ({ next: () => Promise.reject(new ServingError('backend_error')) }),
  });
  await expect(failing.next()).rejects.toMatchObject({ code: 'backend_error' });
});

it('who leaves waits for the backend that answers, and each refused try is freed', async () => {
  const { events, freed } = askPlainBackend(chatRequest('hi', { sampling: { topK: 5 } }));
  await events.next();
  expect(freed()).toBe(1);
  await events.return?.();
  expect(freed()).toBe(2);
});

it('in strict compatibility only what clients send unasked is dropped, and named', async () => {
  const clock = { name: 'clock', strict: true } as const;
  const tools = { tools: [{ name: 'weather' }, clock], choice: 'auto' } as const;
  const { all, asked, receipt } = askPlainBackend(chatRequest('hi', { tools }), ['tools'], 'optional');
  expect(await all()).toEqual([TEXT, FINISH]);
  expect(asked).toMatchObject([{ tools: { tools: [{ name: 'weather' }, { name: 'clock' }] } }]);
  expect(asked[0]?.tools?.tools[1]).not.toHaveProperty('strict');
  expect(receipt.droppedFields).toEqual(['tools[1].strict']);
  const refused = askPlainBackend(chatRequest('hi', { tools, sampling: { topK: 5 } }), ['tools'], 'optional');
  await expect(refused.all()).rejects.toMatchObject({ code: 'unsupported_parameter', param: 'top_k' });
});

it('a forced call follows its schema anyway, so that it is strict asks for nothing', async () => {
  const tools = { tools: [{ name: 'clock', strict: true }], choice: 'required' } as const;
  const request = chatRequest('hi', { tools });
  const { all, asked, receipt } = askPlainBackend(request, ['tools', 'tool-choice'], 'optional');
  expect(await all()).toEqual([TEXT, FINISH]);
  expect(asked).toEqual([request]);
  expect(receipt.droppedFields).toBeUndefined();
});
