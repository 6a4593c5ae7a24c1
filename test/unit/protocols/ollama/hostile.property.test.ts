import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ServingError } from '../../../../src/core/errors.ts';
import { embedRoute } from '../../../../src/protocols/ollama/embed.ts';
import { chatRoute, generateRoute } from '../../../../src/protocols/ollama/protocol.ts';
import { runs } from '../../../support/property-runs.ts';
import { parseContext } from '../../../support/protocol-answers.ts';

const ROUTES = [chatRoute, generateRoute, embedRoute];

function refusedOrTaken(body: unknown): void {
  for (const route of ROUTES) {
    try {
      route.parse(body, parseContext());
    } catch (error) {
      expect(error).toBeInstanceOf(ServingError);
    }
  }
}

describe('any body', () => {
  const some = fc.oneof(fc.jsonValue(), fc.constantFrom('', 'json', 'call', 0, -1, null, [], {}));
  const role = fc.constantFrom('system', 'user', 'assistant', 'tool');
  const call = fc.record({ id: some, function: fc.record({ name: fc.constant('a'), arguments: some }) });
  const message = fc.record(
    {
      role: fc.oneof({ weight: 9, arbitrary: role }, { weight: 1, arbitrary: some }),
      content: fc.oneof({ weight: 9, arbitrary: fc.string() }, { weight: 1, arbitrary: some }),
      tool_calls: fc.oneof(fc.array(call), some),
      tool_name: some,
      tool_call_id: some,
      images: some,
      thinking: some,
    },
    { requiredKeys: ['role'] },
  );
  const body = fc.record(
    {
      model: fc.constantFrom('m', 'm:latest'),
      messages: fc.oneof({ weight: 4, arbitrary: fc.array(message) }, { weight: 1, arbitrary: some }),
      prompt: fc.oneof(fc.string(), some),
      input: some,
      tools: fc.oneof(fc.array(fc.record({ function: some })), some),
      format: some,
      think: some,
      context: some,
      options: fc.oneof(fc.dictionary(fc.constantFrom('seed', 'stop', 'num_ctx', 'mirostat'), some), some),
    },
    { requiredKeys: ['model'] },
  );

  it('is taken or refused with a reason', () => {
    fc.assert(fc.property(fc.oneof(body, fc.jsonValue()), refusedOrTaken), runs(200));
  });

  it('may be nested as deeply as it likes', () => {
    const deep = JSON.parse(`${'[{"a":'.repeat(50_000)}1${'}]'.repeat(50_000)}`);
    for (const field of [
      'messages',
      'prompt',
      'input',
      'tools',
      'format',
      'options',
      'images',
      'other',
      'model',
    ])
      refusedOrTaken({ model: 'm', messages: [{ role: 'user', content: 'a' }], prompt: 'a', [field]: deep });
    for (const part of ['content', 'tool_calls', 'images', 'other'])
      refusedOrTaken({ model: 'm', messages: [{ role: 'user', [part]: deep }] });
    refusedOrTaken({
      model: 'm',
      messages: [{ role: 'assistant', tool_calls: [{ function: { name: 'a', arguments: deep[0] } }] }],
      tools: [{ function: { name: 'a', parameters: deep[0] } }],
    });
  });
});
