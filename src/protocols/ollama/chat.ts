/** POST /api/chat: a conversation, its next message in lines or whole. */
import { Type } from 'typebox';
import type { GenerationRequest } from '../../core/generation.ts';
import type { GenerationRoute, ParseContext, ParsedGeneration } from '../generation-route.ts';
import { lenientReader } from '../lenient-body.ts';
import { CHAT_FORM } from './answer-form.ts';
import { CHAT_ANSWERS } from './answer-schema.ts';
import { messageList, parseConversation } from './conversation.ts';
import { findNamed } from './model-name.ts';
import {
  droppedFields,
  OPTION_NAMES,
  parseLimits,
  parseLogprobs,
  parseSampling,
  refuseUnknownArts,
} from './options.ts';
import { generationFields } from './options-schema.ts';
import { parseOutput } from './output-format.ts';
import { loadOnlyAnswer, ollamaRenderer } from './render.ts';
import { parseTools, toolList } from './tools.ts';

const ChatBody = Type.Object({
  ...generationFields,
  messages: Type.Optional(messageList),
  tools: Type.Optional(toolList),
});

const read = lenientReader(ChatBody);

export const chatRoute: GenerationRoute = {
  kind: 'generation',
  method: 'POST',
  path: '/api/chat',
  fieldNames: OPTION_NAMES,
  describes: {
    summary: 'Chat, as Ollama does it',
    description:
      'In lines of JSON, the last with done: true, unless stream is false. A stream that fails ends with a line {"error": …} ' +
      'and without done: true. A prompt that does not fit is a 400, never cut (truncate), and an answer that outgrows the context ' +
      'ends with done_reason length (shift).',
    body: ChatBody,
    example: {
      messages: [{ role: 'user', content: 'What is the capital of France?' }],
      stream: false,
      options: { num_predict: 32 },
    },
    answers: CHAT_ANSWERS,
  },
  parse: parseChat,
};

function parseChat(raw: unknown, { newRequestId, requireModel }: ParseContext): ParsedGeneration {
  const body = read(raw);
  const { model: name = '', messages = [], options = {}, think } = body;
  const model = findNamed(name, requireModel);
  const style = { form: CHAT_FORM, model: name || model.id };
  refuseUnknownArts(options);
  const tools = parseTools(body.tools);
  const output = parseOutput(body.format);
  const logprobs = parseLogprobs(body);
  if (messages.length === 0) return loadOnlyAnswer(style, body);
  const request: GenerationRequest = {
    id: newRequestId(),
    model: model.id,
    input: { kind: 'chat', messages: parseConversation(messages) },
    sampling: parseSampling(options),
    limits: parseLimits(options, model),
    ...(think !== undefined && { thinking: think }),
    ...(output !== undefined && { output }),
    ...(tools !== undefined && { tools }),
    ...(logprobs !== undefined && { logprobs }),
  };
  return {
    requests: [request],
    delivery: body.stream === false ? 'whole' : 'stream',
    timeoutMs: undefined,
    priority: undefined,
    ...droppedFields(body),
    renderer: ollamaRenderer(style, request),
  };
}
