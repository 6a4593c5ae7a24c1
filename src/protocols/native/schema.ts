/** The body of /generate and /stream: it is checked, typed and published by this schema. */
import { type Static, Type } from 'typebox';
import { PRIORITIES } from '../../core/priority.ts';
import { tokenFields } from '../sampling-fields.ts';
import { functionFields, toolName } from '../tools.ts';

const closed = { additionalProperties: false } as const;
const open = { additionalProperties: true } as const;

const tool = Type.Object(
  {
    name: toolName,
    description: Type.Optional(Type.String({ description: 'For the model.' })),
    ...functionFields,
  },
  closed,
);

const toolList = Type.Array(tool, {
  minItems: 1,
  maxItems: 128,
  description:
    'What the model may ask to be called: the answer then has tool_calls and finish_reason "tool_calls". ' +
    'Each has a name of its own. Not with raw. Beside format or grammar the answer is a call, or text in that format.',
});

const toolChoice = Type.Union(
  [
    Type.Enum(['auto', 'none', 'required']),
    Type.Object({ name: Type.String() }, { ...closed, title: '{"name": …} with the name of a tool' }),
  ],
  {
    description:
      'auto (default): the model decides; none: no call; required: at least one call; {"name": …}: at least one call of that tool. Only with tools.',
  },
);

const toolCallList = Type.Array(
  Type.Object(
    {
      id: Type.String({ minLength: 1, description: 'Its own within the message.' }),
      name: toolName,
      arguments: Type.Object({}, { ...open, description: 'The arguments, by name.' }),
    },
    closed,
  ),
  { minItems: 1, maxItems: 128, description: 'With role assistant: its calls.' },
);

export type ToolList = Static<typeof toolList>;
export type ToolChoiceBody = Static<typeof toolChoice>;
export type ToolCallList = Static<typeof toolCallList>;

/** Which fields go with which role is checked by the parser. */
const message = Type.Object(
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

const stopString = Type.String({ minLength: 1 });

export const GenerateBody = Type.Object(
  {
    prompt: Type.Optional(
      Type.String({ minLength: 1, description: 'One user message. Exactly one of prompt and messages.' }),
    ),
    messages: Type.Optional(
      Type.Array(message, {
        minItems: 1,
        description:
          'A conversation. Exactly one of prompt and messages. A message with role tool answers a call of the ' +
          'assistant’s message before it.',
      }),
    ),
    continue_final_message: Type.Optional(
      Type.Boolean({
        description:
          'true: the answer continues the last message, the assistant’s, and is what comes after it. Default: false, a turn of ' +
          'the assistant’s begins, whatever the last role.',
      }),
    ),
    system: Type.Optional(
      Type.String({ description: 'System message in front of the prompt; not with messages or raw.' }),
    ),
    raw: Type.Optional(
      Type.Boolean({
        description: 'The prompt goes to the model as it is: no chat template, special tokens are parsed.',
      }),
    ),
    model: Type.Optional(
      Type.String({ minLength: 1, description: 'A configured model; default: default_model.' }),
    ),
    max_tokens: Type.Optional(
      Type.Integer({
        minimum: 1,
        description: 'Completion tokens at most; cut to what the context leaves beside a long prompt.',
      }),
    ),
    temperature: Type.Optional(Type.Number({ minimum: 0, maximum: 2 })),
    top_p: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 1 })),
    top_k: Type.Optional(Type.Integer({ minimum: 0, description: '0 switches it off.' })),
    min_p: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
    seed: Type.Optional(Type.Integer({ minimum: 0, maximum: 2_147_483_647 })),
    presence_penalty: Type.Optional(Type.Number({ minimum: -2, maximum: 2 })),
    frequency_penalty: Type.Optional(Type.Number({ minimum: -2, maximum: 2 })),
    repeat_penalty: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 2 })),
    stop: Type.Optional(
      // As docs/native-api.md promises. The other protocols take 64: clients of theirs send more.
      Type.Union([stopString, Type.Array(stopString, { maxItems: 4 })], {
        description: 'Generation ends before any of these; never part of the answer.',
      }),
    ),
    ...tokenFields,
    logit_bias: Type.Optional(
      Type.Record(Type.String(), Type.Number({ minimum: -100, maximum: 100 }), {
        maxProperties: 1024,
        description:
          'Token id of the model → what is added to its logit: -100 rules it out, 100 all but forces it.',
      }),
    ),
    logprobs: Type.Optional(
      Type.Boolean({ description: 'The log-probability of each token of the text comes with the answer.' }),
    ),
    top_logprobs: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 20,
        description: 'So many of the likeliest tokens at each place. Default: 0; only with logprobs.',
      }),
    ),
    format: Type.Optional(
      Type.Union(
        [
          Type.Literal('json'),
          Type.Object({}, { additionalProperties: true, title: 'an object (a JSON Schema)' }),
        ],
        {
          description: '"json": the text is a JSON object. A JSON Schema: the text is JSON that it allows.',
        },
      ),
    ),
    grammar: Type.Optional(
      Type.String({
        minLength: 1,
        description: 'The text follows this GBNF grammar, from its rule root. Not with format.',
      }),
    ),
    regex: Type.Optional(
      Type.String({
        minLength: 1,
        description: 'The whole text matches this regular expression. Not with format, grammar or choice.',
      }),
    ),
    choice: Type.Optional(
      Type.Array(Type.String(), {
        minItems: 1,
        maxItems: 1000,
        description: 'The text is exactly one of these. Not with format, grammar or regex.',
      }),
    ),
    tools: Type.Optional(toolList),
    tool_choice: Type.Optional(toolChoice),
    think: Type.Optional(
      Type.Union([Type.Boolean(), Type.Enum(['low', 'medium', 'high'])], {
        description: 'For models that can think; off by default where the model can switch it off.',
      }),
    ),
    timeout_ms: Type.Optional(
      Type.Integer({ minimum: 1, description: 'Shortens the server’s time limit, never lengthens it.' }),
    ),
    priority: Type.Optional(
      Type.Enum([...PRIORITIES], {
        description:
          'Default: normal. A priority above the client’s maximum is lowered to it, and X-Priority-Lowered-From names it.',
      }),
    ),
  },
  { additionalProperties: false },
);

export type GenerateBody = Static<typeof GenerateBody>;
