import { expect, it } from 'vitest';
import { ServingError, toServingError } from '../../../src/core/errors.ts';
import { type Droppable, type Feature, refuseUnsupported } from '../../../src/core/features.ts';
import type { GenerationRequest } from '../../../src/core/generation.ts';
import type { Receipt } from '../../../src/core/receipt.ts';
import { dropUnsupported } from '../../../src/serving/drop-unsupported.ts';
import { chatRequest } from '../../support/stand-ins/generate.ts';

/** What a backend that can do little was asked in the end, after its refusals; or the refusal that stands. */
function askPlainBackend(
  request: GenerationRequest,
  supports: readonly Feature[] = [],
  droppable: Droppable = 'settings',
) {
  const receipt: Receipt = { requestId: 'r', receivedAt: 0 };
  let asked = request;
  for (;;) {
    try {
      refuseUnsupported(asked, { backend: 'plain', supports });
      return { receipt, asked };
    } catch (thrown) {
      const refusal = toServingError(thrown);
      const less = dropUnsupported({ asked, receipt, droppable }, refusal);
      if (less === undefined) return { receipt, refusal };
      asked = less;
    }
  }
}

it('a field that the backend cannot honour is dropped and noted, one after the other', () => {
  const request = chatRequest('hi', {
    sampling: { topK: 5, temperature: 0.5 },
    output: { kind: 'json-schema', schema: {} },
    thinking: 'low',
  });
  const { asked, receipt } = askPlainBackend(request);
  expect(receipt.droppedFields).toEqual(['format', 'top_k', 'think']);
  const { output: _output, thinking: _thinking, ...rest } = request;
  expect(asked).toEqual({ ...rest, sampling: { temperature: 0.5 } });
});

it('a request that the backend can honour is asked as it is', () => {
  const request = chatRequest('hi', { sampling: { topK: 5 } });
  const { asked, receipt } = askPlainBackend(request, ['top-k']);
  expect(asked).toEqual(request);
  expect(receipt.droppedFields).toBeUndefined();
});

it('what is content is refused all the same', () => {
  const images = [{ mediaType: 'image/png', base64: 'AA==', at: 0 }];
  const input = { kind: 'chat', messages: [{ role: 'user', content: 'hi', images }] } as const;
  const { refusal, receipt } = askPlainBackend(chatRequest('hi', { input }));
  expect(refusal).toMatchObject({
    code: 'unsupported_parameter',
    param: 'messages[0].images',
  });
  expect(receipt.droppedFields).toBeUndefined();
});

it('any other failure is passed on, and is no reason to ask again', () => {
  const call = {
    asked: chatRequest('hi', { sampling: { topK: 5 } }),
    receipt: { requestId: 'r', receivedAt: 0 },
    droppable: 'settings' as const,
  };
  expect(dropUnsupported(call, new ServingError('backend_error', { param: 'top_k' }))).toBeUndefined();
});

it('in strict compatibility only what clients send unasked is dropped, and named', () => {
  const clock = { name: 'clock', strict: true } as const;
  const tools = { tools: [{ name: 'weather' }, clock], choice: 'auto' } as const;
  const { asked, receipt } = askPlainBackend(chatRequest('hi', { tools }), ['tools'], 'optional');
  expect(asked).toMatchObject({ tools: { tools: [{ name: 'weather' }, { name: 'clock' }] } });
  expect(asked?.tools?.tools[1]).not.toHaveProperty('strict');
  expect(receipt.droppedFields).toEqual(['tools[1].strict']);
  const refused = askPlainBackend(chatRequest('hi', { tools, sampling: { topK: 5 } }), ['tools'], 'optional');
  expect(refused.refusal).toMatchObject({ code: 'unsupported_parameter', param: 'top_k' });
});

it('a forced call follows its schema anyway, so that it is strict asks for nothing', () => {
  const tools = { tools: [{ name: 'clock', strict: true }], choice: 'required' } as const;
  const request = chatRequest('hi', { tools });
  const { asked, receipt } = askPlainBackend(request, ['tools', 'tool-choice'], 'optional');
  expect(asked).toEqual(request);
  expect(receipt.droppedFields).toBeUndefined();
});
