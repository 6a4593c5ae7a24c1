/** A message of a chat. What goes with which role, and in which order, is for conversation.ts to say; of parts, content.ts. */
import { type Static, Type } from 'typebox';
import { ignored, refused } from '../generation-fields.ts';

const part = Type.Object(
  { type: Type.String() },
  {
    additionalProperties: true,
    title: 'an object with a type',
    description:
      '{"type":"text","text":…} in all messages; {"type":"image_url","image_url":{"url":"data:image/png;base64,…"}} in those ' +
      'of users: pictures come as data: URLs, nothing is fetched; {"type":"refusal","refusal":…} in the assistant’s.',
  },
);

export const message = Type.Object({
  role: Type.Enum(['developer', 'system', 'user', 'assistant', 'tool', 'function'], {
    description: 'developer is system. function is refused: tools have taken its place.',
  }),
  content: Type.Optional(Type.Union([Type.String(), Type.Array(part, { minItems: 1 })])),
  name: ignored('Accepted; chat templates have no place for it.'),
  refusal: Type.Optional(Type.String({ description: 'With role assistant: said in place of content.' })),
  reasoning_content: Type.Optional(
    Type.String({
      description: 'With role assistant: what it thought, for models whose templates read that.',
    }),
  ),
  reasoning: Type.Optional(Type.String({ description: 'As reasoning_content.' })),
  tool_calls: Type.Optional(
    Type.Array(
      Type.Object({
        id: Type.String({ minLength: 1, description: 'Its own within the message.' }),
        type: Type.Optional(Type.Literal('function')),
        function: Type.Object({
          name: Type.String({ minLength: 1 }),
          arguments: Type.String({ description: 'The text of a JSON object.' }),
        }),
      }),
      {
        maxItems: 128,
        description: 'With role assistant: the calls that it asked for. The messages after it answer them.',
      },
    ),
  ),
  tool_call_id: Type.Optional(
    Type.String({ description: 'With role tool: the id of the call that the content answers.' }),
  ),
  audio: refused(Type.Unknown({ description: 'Refused: audio is not supported.' })),
  function_call: refused(Type.Unknown({ description: 'Refused: tool_calls has taken its place.' })),
});

export type MessageBody = Static<typeof message>;
