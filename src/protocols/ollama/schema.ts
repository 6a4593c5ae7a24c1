/** The bodies of /api/chat and /api/generate: they are checked, typed and published by these schemas. */
import { type Static, Type } from 'typebox';

const MAX_INTEGER = 2_147_483_647;

const stopString = Type.String({ minLength: 1 });

const options = Type.Object(
  {
    temperature: Type.Optional(Type.Number({ minimum: 0 })),
    top_p: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
    top_k: Type.Optional(
      Type.Integer({ minimum: -1, maximum: MAX_INTEGER, description: '0 and -1 switch it off.' }),
    ),
    min_p: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
    seed: Type.Optional(
      Type.Integer({ description: '-1: a new one each time. Others are folded into 0 to 2147483647.' }),
    ),
    repeat_penalty: Type.Optional(Type.Number({ exclusiveMinimum: 0 })),
    repeat_last_n: Type.Optional(
      Type.Integer({
        minimum: -1,
        maximum: MAX_INTEGER,
        description: 'Penalties look back at so many tokens: 0 none, -1 the whole context.',
      }),
    ),
    presence_penalty: Type.Optional(Type.Number({ minimum: -2, maximum: 2 })),
    frequency_penalty: Type.Optional(Type.Number({ minimum: -2, maximum: 2 })),
    typical_p: Type.Optional(Type.Number({ minimum: 0, maximum: 1, description: '1 switches it off.' })),
    mirostat: Type.Optional(
      Type.Enum([0, 1, 2], { description: '0 switches it off. Ollama has it up to release 0.6.' }),
    ),
    mirostat_tau: Type.Optional(Type.Number({ minimum: 0 })),
    mirostat_eta: Type.Optional(Type.Number({ minimum: 0 })),
    num_keep: Type.Optional(
      Type.Integer({
        minimum: -1,
        maximum: MAX_INTEGER,
        description:
          'Tokens that stay where the model’s server shifts the context. Dropped where it does not, and X-Dropped-Parameters names it.',
      }),
    ),
    num_predict: Type.Optional(
      Type.Integer({
        minimum: -2,
        maximum: MAX_INTEGER,
        description: 'Tokens of the answer at most. Default, and for 0, -1 and -2: what the context leaves.',
      }),
    ),
    stop: Type.Optional(
      Type.Union([stopString, Type.Array(stopString, { maxItems: 64 })], {
        description: 'Generation ends before any of these; never part of the answer.',
      }),
    ),
    num_ctx: Type.Optional(
      Type.Integer({
        minimum: 1,
        description:
          'Dropped, and X-Dropped-Parameters names it: the configuration decides the size of the context, and a prompt that does not fit is rejected.',
      }),
    ),
  },
  {
    additionalProperties: true,
    description:
      'Options of the runner (num_batch, num_gpu, main_gpu, num_thread, use_mmap, draft_num_predict) are dropped, as the model’s ' +
      'server decides them for all clients; so are tfs_z and penalize_newline, which Ollama itself has no more. X-Dropped-Parameters ' +
      'names them. repeat_last_n, typical_p and mirostat are rejected where the backend does not support them, unless they have ' +
      'their default. Unknown options are ignored, as Ollama does.',
  },
);

export type Options = Static<typeof options>;

export const keepAlive = Type.Optional(
  Type.Union([Type.Number(), Type.String()], {
    description:
      'Dropped, and X-Dropped-Parameters names it: the configuration decides how long models stay in memory, as other clients use them too. ' +
      'Without messages or prompt, 0 is answered with done_reason "unload".',
  }),
);

/** Of both bodies. */
const generationFields = {
  model: Type.Optional(
    Type.String({
      description: 'A configured model or an alias; "name:latest" is "name". Default: default_model.',
    }),
  ),
  stream: Type.Optional(Type.Boolean({ description: 'Default: true, an answer in lines of JSON.' })),
  format: Type.Optional(
    Type.Union(
      [
        Type.Enum(['', 'json']),
        Type.Object({}, { additionalProperties: true, title: 'an object (a JSON Schema)' }),
      ],
      {
        description: '"json": the text is a JSON object. A JSON Schema: the text is JSON that it allows.',
      },
    ),
  ),
  options: Type.Optional(options),
  think: Type.Optional(
    Type.Union([Type.Boolean(), Type.Enum(['low', 'medium', 'high', 'max'])], {
      description: 'max is high. Default: the model’s own.',
    }),
  ),
  logprobs: Type.Optional(
    Type.Boolean({ description: 'The log-probability of each token of the text comes with it.' }),
  ),
  top_logprobs: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: 20,
      description: 'With logprobs: as many of the likeliest tokens at each position. Default: 0.',
    }),
  ),
  keep_alive: keepAlive,
};

const imageList = Type.Array(Type.String({ minLength: 1 }), {
  maxItems: 64,
  description: 'Images (PNG, JPEG, GIF or WebP) in base64. Addresses are rejected: nothing is fetched.',
});

const toolName = Type.String({
  pattern: '^[a-zA-Z0-9_.-]{1,128}$',
  title: 'a name of 1 to 128 letters, digits, underscores, dots or hyphens',
});

const toolList = Type.Array(
  Type.Object({
    type: Type.Optional(Type.Literal('function')),
    function: Type.Object({
      name: toolName,
      description: Type.Optional(Type.String({ description: 'Tells the model what it is for.' })),
      parameters: Type.Optional(
        Type.Object(
          {},
          { additionalProperties: true, title: 'an object (the JSON Schema of the arguments)' },
        ),
      ),
    }),
  }),
  { maxItems: 128, description: 'What the model may ask to be called. Each has a name of its own.' },
);

const toolCall = Type.Object({
  id: Type.Optional(Type.String()),
  function: Type.Object({
    name: toolName,
    arguments: Type.Optional(Type.Object({}, { additionalProperties: true })),
  }),
});

const messageList = Type.Array(
  Type.Object({
    role: Type.Enum(['system', 'user', 'assistant', 'tool']),
    content: Type.Optional(Type.String()),
    thinking: Type.Optional(
      Type.String({ description: 'With role assistant: its reasoning before the text.' }),
    ),
    images: Type.Optional(imageList),
    tool_calls: Type.Optional(
      Type.Array(toolCall, { maxItems: 128, description: 'With role assistant: its calls.' }),
    ),
    tool_name: Type.Optional(
      Type.String({
        description:
          'With role tool: the tool whose result this is. Without it and tool_call_id: that of the first call without a result.',
      }),
    ),
    tool_call_id: Type.Optional(Type.String()),
  }),
  { description: 'A conversation. Without messages the answer only says that the model is available.' },
);

export const ChatBody = Type.Object({
  ...generationFields,
  messages: Type.Optional(messageList),
  tools: Type.Optional(toolList),
});

export const GenerateBody = Type.Object({
  ...generationFields,
  prompt: Type.Optional(
    Type.String({
      description: 'One user message. Without it the answer only says that the model is available.',
    }),
  ),
  system: Type.Optional(Type.String({ description: 'System message in front of the prompt; not with raw.' })),
  raw: Type.Optional(
    Type.Boolean({
      description: 'The prompt goes to the model as it is: no chat template, special tokens are parsed.',
    }),
  ),
  images: Type.Optional(imageList),
  suffix: Type.Optional(Type.String({ description: 'Rejected unless empty.' })),
  template: Type.Optional(Type.String({ description: 'Rejected unless empty: the model has its own.' })),
  context: Type.Optional(
    Type.Array(Type.Number(), {
      description: 'Rejected unless empty: answers here have none. Send the conversation to /api/chat.',
    }),
  ),
});

export type ChatBody = Static<typeof ChatBody>;
export type GenerateBody = Static<typeof GenerateBody>;
export type MessageBody = Static<typeof messageList>[number];
export type ToolList = Static<typeof toolList>;
