import fc from 'fast-check';
import { expect, it } from 'vitest';
import { ServingError } from '../../../../src/core/errors.ts';
import { MessagesBody } from '../../../../src/protocols/anthropic/schema.ts';
import { bodyWith, parseMessage } from '../../../support/anthropic-body.ts';
import { runs } from '../../../support/property-runs.ts';

const block = fc.record(
  {
    type: fc.constantFrom(
      'text',
      'image',
      'document',
      'search_result',
      'thinking',
      'tool_use',
      'tool_result',
    ),
    text: fc.jsonValue(),
    source: fc.oneof(
      fc.jsonValue(),
      fc.record({ type: fc.constantFrom('text', 'content'), content: fc.jsonValue() }),
    ),
    content: fc.jsonValue(),
    id: fc.constantFrom('a', 'b', null),
    name: fc.constant('n'),
    tool_use_id: fc.constantFrom('a', 'b', 5),
    input: fc.jsonValue(),
    thinking: fc.jsonValue(),
  },
  { requiredKeys: ['type'] },
);
const message = fc.record({
  role: fc.constantFrom('user', 'assistant', 'system'),
  content: fc.oneof(fc.jsonValue(), fc.array(fc.oneof(block, fc.jsonValue()), { maxLength: 4 })),
});
const field = fc.constantFrom(...Object.keys(MessagesBody.properties), 'container', '__proto__', 'other');

it('takes any body, or refuses it with a 400', () => {
  const body = fc.oneof(
    fc.record({ messages: fc.array(message, { maxLength: 4 }) }),
    fc.dictionary(field, fc.jsonValue()),
  );
  fc.assert(
    fc.property(body, (fields) => {
      try {
        parseMessage(bodyWith(fields));
      } catch (error) {
        expect(error).toBeInstanceOf(ServingError);
        expect([400, 404]).toContain((error as ServingError).spec.status);
      }
    }),
    runs(500),
  );
});
