import fc from 'fast-check';
import { expect, it } from 'vitest';
import { ServingError } from '../../../../src/core/errors.ts';
import { chatRoute } from '../../../../src/protocols/openai/chat/route.ts';
import { ChatBody } from '../../../../src/protocols/openai/chat/schema.ts';
import { CompletionBody, completionRoute } from '../../../../src/protocols/openai/completions/route.ts';
import { EmbeddingsBody, embeddingsRoute } from '../../../../src/protocols/openai/embeddings.ts';
import { respondRoute } from '../../../../src/protocols/openai/responses/route.ts';
import { ResponsesBody } from '../../../../src/protocols/openai/responses/schema.ts';
import { runs } from '../../../support/property-runs.ts';
import { parseContext } from '../../../support/protocol-answers.ts';

const VALID = {
  model: 'm',
  messages: [{ role: 'user', content: 'hi' }],
  prompt: 'hi',
  input: 'hi',
};
const word = fc.constantFrom(
  'user',
  'assistant',
  'tool',
  'text',
  'image_url',
  'function',
  'a',
  '',
  '__proto__',
);
const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.oneof(fc.constant(null), fc.boolean(), fc.double(), fc.integer(), fc.string(), word),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(
      fc.constantFrom(
        ...[
          'type',
          'function',
          'name',
          'arguments',
          'id',
          'role',
          'content',
          'tool_calls',
          'tool_call_id',
          'text',
        ],
        ...[
          'image_url',
          'url',
          'parameters',
          'json_schema',
          'schema',
          'allowed_tools',
          'tools',
          'mode',
          '__proto__',
        ],
      ),
      tie('value'),
      { maxKeys: 5 },
    ),
  ),
}));

it.each([
  ['chat', chatRoute, Object.keys(ChatBody.properties)],
  ['completion', completionRoute, Object.keys(CompletionBody.properties)],
  ['responses', respondRoute, Object.keys(ResponsesBody.properties)],
  ['embeddings', embeddingsRoute, Object.keys(EmbeddingsBody.properties)],
] as const)(
  'whatever the body of a %s request holds, it is accepted, or rejected with a field',
  (_, route, fields) => {
    const body = fc.dictionary(fc.constantFrom(...fields), value, { maxKeys: 3 });
    fc.assert(
      fc.property(
        fc.oneof(
          value,
          body.map((some) => ({ ...VALID, ...some })),
        ),
        (raw) => {
          try {
            route.parse(raw, parseContext());
          } catch (error) {
            expect(error).toBeInstanceOf(ServingError);
          }
        },
      ),
      runs(1000),
    );
  },
);
