/** POST /api/generate: one prompt, its answer in lines or whole. */
import { type Static, Type } from 'typebox';
import { unsupported } from '../../core/features.ts';
import type { GenerationInput, GenerationRequest } from '../../core/generation.ts';
import type { GenerationRoute, ParseContext, ParsedGeneration } from '../generation-route.ts';
import { invalid } from '../invalid.ts';
import { lenientReader } from '../lenient-body.ts';
import type { FieldNames } from '../route-base.ts';
import { GENERATE_FORM } from './answer-form.ts';
import { GENERATE_ANSWERS } from './answer-schema.ts';
import { imageList, parseImages } from './images.ts';
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

const GenerateBody = Type.Object({
  ...generationFields,
  prompt: Type.Optional(
    Type.String({ description: 'One user message. Without it the answer says that the model is there.' }),
  ),
  system: Type.Optional(Type.String({ description: 'System message in front of the prompt; not with raw.' })),
  raw: Type.Optional(
    Type.Boolean({
      description: 'The prompt goes to the model as it is: no chat template, special tokens are parsed.',
    }),
  ),
  images: Type.Optional(imageList),
  suffix: Type.Optional(Type.String({ description: 'Refused unless empty.' })),
  template: Type.Optional(Type.String({ description: 'Refused unless empty: the model has its own.' })),
  context: Type.Optional(
    Type.Array(Type.Number(), {
      description: 'Refused unless empty: answers here have none. Send the conversation to /api/chat.',
    }),
  ),
});

type GenerateBody = Static<typeof GenerateBody>;

const read = lenientReader(GenerateBody);

/** What cannot be had → what to do instead. */
const REFUSED = {
  suffix: 'Leave it away.',
  template: 'The model has its own template: leave it away, or send the prompt as it is to be, with raw.',
  context: 'Send the conversation so far as messages to /api/chat.',
} as const satisfies Partial<Record<keyof GenerateBody, string>>;

/** Of the one message that the pictures are part of. */
const MESSAGE_NAMES: FieldNames = {
  messages: (rest) => (rest.endsWith('.images') ? 'images' : 'prompt'),
};

export const generateRoute: GenerationRoute = {
  kind: 'generation',
  method: 'POST',
  path: '/api/generate',
  fieldNames: { ...OPTION_NAMES, ...MESSAGE_NAMES },
  describes: {
    summary: 'Generate, as Ollama does it',
    description:
      'In lines of JSON, the last with done: true, unless stream is false. A stream that fails ends with a line {"error": …} ' +
      'and without done: true. A prompt that does not fit is a 400, never cut (truncate), and an answer that outgrows the context ' +
      'ends with done_reason length (shift). Answers have no context.',
    body: GenerateBody,
    example: { prompt: 'What is the capital of France?', stream: false, options: { num_predict: 32 } },
    answers: GENERATE_ANSWERS,
  },
  parse: parseGenerate,
};

function parseGenerate(raw: unknown, { newRequestId, requireModel }: ParseContext): ParsedGeneration {
  const body = read(raw);
  const { model: name = '', prompt = '', options = {}, think } = body;
  const model = findNamed(name, requireModel);
  const style = { form: GENERATE_FORM, model: name || model.id };
  for (const [field, advice] of Object.entries(REFUSED)) {
    if (body[field as keyof typeof REFUSED]?.length) throw unsupported(field, 'this server', { advice });
  }
  refuseUnknownArts(options);
  const output = parseOutput(body.format);
  const logprobs = parseLogprobs(body);
  if (prompt === '') return loadOnlyAnswer(style, body);
  const request: GenerationRequest = {
    id: newRequestId(),
    model: model.id,
    input: parseInput(prompt, body),
    sampling: parseSampling(options),
    limits: parseLimits(options, model),
    ...(think !== undefined && { thinking: think }),
    ...(output !== undefined && { output }),
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

function parseInput(prompt: string, { system = '', raw, images = [] }: GenerateBody): GenerationInput {
  if (!raw) {
    const pictures = parseImages(images, 'images');
    const user = { role: 'user', content: prompt, ...(pictures.length > 0 && { images: pictures }) } as const;
    return {
      kind: 'chat',
      messages: system === '' ? [user] : [{ role: 'system', content: system }, user],
    };
  }
  const misplaced = system !== '' ? 'system' : images.length > 0 ? 'images' : undefined;
  if (misplaced === undefined) return { kind: 'text', prompt };
  throw invalid(
    misplaced,
    `${misplaced} is not allowed with raw: a raw prompt has no chat template to put it into.`,
  );
}
