/** A message of a conversation in a native body. What goes with which role, and in which order, is for conversation.ts to say. */
import { type Static, Type } from 'typebox';
import { toolCallList } from './tool-schema.ts';

export const message = Type.Object(
  {
    role: Type.Enum(['system', 'user', 'assistant', 'tool']),
    content: Type.String(),
    tool_calls: Type.Optional(toolCallList),
    tool_call_id: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          'With role tool: the id of the call that the content answers. Default: the first call of the assistant’s message that has no answer yet.',
      }),
    ),
  },
  { additionalProperties: false },
);

export type MessageBody = Static<typeof message>;
