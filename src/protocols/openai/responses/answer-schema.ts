/** What POST /v1/responses answers: the response object and its items, and the events of a stream. Tests hold every answer to it. */
import { type Static, type TProperties, Type } from 'typebox';
import { nullable, TimingsSchema } from '../../rendering.ts';
import { OpenAiError } from '../errors.ts';
import { choiceMode, ToolName, textFormat } from './schema.ts';

const itemStatus = Type.Enum(['in_progress', 'completed', 'incomplete']);

const likelyToken = {
  token: Type.String({ description: 'U+FFFD for bytes that are no character by themselves.' }),
  bytes: Type.Array(Type.Integer({ minimum: 0, maximum: 255 })),
  logprob: Type.Number({ maximum: 0 }),
};

const Logprobs = Type.Array(
  Type.Object({ ...likelyToken, top_logprobs: Type.Array(Type.Object(likelyToken)) }),
  { description: 'One for each token of the text, where the request asks for them.' },
);

const OutputText = Type.Object({
  type: Type.Literal('output_text'),
  text: Type.String(),
  annotations: Type.Array(Type.Never(), { maxItems: 0, description: 'Always empty.' }),
  logprobs: Logprobs,
});

const SummaryText = Type.Object({ type: Type.Literal('summary_text'), text: Type.String() });

const ReasoningText = Type.Object({ type: Type.Literal('reasoning_text'), text: Type.String() });

const OutputItem = Type.Union([
  Type.Object({
    id: Type.String(),
    type: Type.Literal('reasoning'),
    summary: Type.Array(SummaryText, {
      description: 'The reasoning, where the request has reasoning.summary; then content is empty.',
    }),
    content: Type.Array(ReasoningText),
  }),
  Type.Object({
    id: Type.String(),
    type: Type.Literal('message'),
    status: itemStatus,
    role: Type.Literal('assistant'),
    content: Type.Array(OutputText),
  }),
  Type.Object({
    id: Type.String(),
    type: Type.Literal('function_call'),
    status: itemStatus,
    call_id: Type.String(),
    name: Type.String(),
    namespace: Type.Optional(Type.String({ description: 'That of the tool, where it has one.' })),
    arguments: Type.String({
      description: 'The text of a JSON object; cut off where the status is incomplete.',
    }),
  }),
  Type.Object({
    id: Type.String(),
    type: Type.Literal('custom_tool_call'),
    status: itemStatus,
    call_id: Type.String(),
    name: Type.String(),
    namespace: Type.Optional(Type.String()),
    input: Type.String({ description: 'Cut off where the status is incomplete.' }),
  }),
]);

const FunctionEcho = Type.Object({
  type: Type.Literal('function'),
  name: Type.String(),
  description: nullable(Type.String()),
  parameters: nullable(Type.Object({}, { additionalProperties: true })),
  strict: nullable(Type.Boolean()),
});

const CustomEcho = Type.Object({
  type: Type.Literal('custom'),
  name: Type.String(),
  description: nullable(Type.String()),
  format: Type.Object({ type: Type.Enum(['text', 'grammar']) }, { additionalProperties: true }),
});

/** A tool as the answer repeats it. */
const ToolEcho = Type.Union([
  FunctionEcho,
  CustomEcho,
  Type.Object({
    type: Type.Literal('namespace'),
    name: Type.String(),
    description: nullable(Type.String()),
    tools: Type.Array(Type.Union([FunctionEcho, CustomEcho])),
  }),
]);

/** tool_choice as the answer repeats it. */
const ToolChoiceEcho = Type.Union([
  choiceMode,
  ToolName,
  Type.Object({
    type: Type.Literal('allowed_tools'),
    mode: Type.Enum(['auto', 'required']),
    tools: Type.Array(ToolName),
  }),
]);

const Usage = Type.Object({
  input_tokens: Type.Integer(),
  input_tokens_details: Type.Object({ cached_tokens: Type.Integer(), cache_write_tokens: Type.Literal(0) }),
  output_tokens: Type.Integer(),
  output_tokens_details: Type.Object({
    reasoning_tokens: Type.Integer({
      description: 'Tokens of the reasoning; 0 where the backend does not count them apart.',
    }),
  }),
  total_tokens: Type.Integer(),
});

const ResponseError = Type.Object({
  code: Type.Enum(['server_error', 'rate_limit_exceeded', 'context_length_exceeded', 'invalid_prompt']),
  message: Type.String(),
});

export const ResponseObject = Type.Object({
  id: Type.String(),
  object: Type.Literal('response'),
  created_at: Type.Integer(),
  completed_at: nullable(Type.Integer()),
  status: Type.Enum(['in_progress', 'completed', 'incomplete', 'failed']),
  error: nullable(ResponseError),
  incomplete_details: nullable(Type.Object({ reason: Type.Enum(['max_output_tokens', 'content_filter']) })),
  background: Type.Literal(false),
  instructions: nullable(Type.String()),
  max_output_tokens: nullable(Type.Integer()),
  max_tool_calls: nullable(Type.Integer()),
  model: Type.String(),
  output: Type.Array(OutputItem),
  parallel_tool_calls: Type.Boolean(),
  previous_response_id: Type.Null(),
  prompt_cache_key: nullable(Type.String()),
  reasoning: Type.Object({ effort: nullable(Type.String()), summary: nullable(Type.String()) }),
  safety_identifier: nullable(Type.String()),
  service_tier: Type.Literal('default'),
  store: Type.Literal(false, { description: 'Whatever the request has: responses are never kept.' }),
  temperature: Type.Number({ description: 'That of the request, or 1.' }),
  text: Type.Object({ format: textFormat }),
  tool_choice: ToolChoiceEcho,
  tools: Type.Array(ToolEcho),
  top_logprobs: Type.Integer(),
  top_p: Type.Number({ description: 'That of the request, or 1.' }),
  presence_penalty: Type.Number(),
  frequency_penalty: Type.Number(),
  truncation: Type.Literal('disabled'),
  usage: nullable(Usage),
  user: nullable(Type.String()),
  metadata: Type.Record(Type.String(), Type.String()),
});

function event<Fields extends TProperties>(types: readonly string[], fields: Fields) {
  return Type.Object({
    type: Type.Enum([...types]),
    ...fields,
    sequence_number: Type.Integer({ minimum: 0, description: 'Counts the events of the stream.' }),
  });
}

const inItem = { item_id: Type.String(), output_index: Type.Integer({ minimum: 0 }) };
const inSummary = { ...inItem, summary_index: Type.Literal(0) };
const inPart = { ...inItem, content_index: Type.Literal(0) };
const delta = { delta: Type.String({ minLength: 1 }) };
const text = { text: Type.String() };
const logprobs = { logprobs: Logprobs };
const nullableText = nullable(Type.String());

/** Events with the same fields stand together. */
export const ResponseEvent = Type.Union([
  event(['response.created', 'response.in_progress', 'response.failed'], { response: ResponseObject }),
  event(['response.completed', 'response.incomplete'], { response: ResponseObject, timings: TimingsSchema }),
  event(['response.output_item.added', 'response.output_item.done'], {
    output_index: inItem.output_index,
    item: OutputItem,
  }),
  event(['response.content_part.added', 'response.content_part.done'], {
    ...inPart,
    part: Type.Union([OutputText, ReasoningText]),
  }),
  event(['response.reasoning_text.delta'], { ...inPart, ...delta }),
  event(['response.reasoning_text.done'], { ...inPart, ...text }),
  event(['response.reasoning_summary_part.added', 'response.reasoning_summary_part.done'], {
    ...inSummary,
    part: SummaryText,
  }),
  event(['response.reasoning_summary_text.delta'], { ...inSummary, ...delta }),
  event(['response.reasoning_summary_text.done'], { ...inSummary, ...text }),
  event(['response.output_text.delta'], { ...inPart, ...delta, ...logprobs }),
  event(['response.output_text.done'], { ...inPart, ...text, ...logprobs }),
  event(['response.function_call_arguments.delta'], { ...inItem, ...delta }),
  event(['response.function_call_arguments.done'], {
    ...inItem,
    name: Type.String(),
    arguments: Type.String(),
  }),
  event(['response.custom_tool_call_input.delta'], { ...inItem, ...delta }),
  event(['response.custom_tool_call_input.done'], { ...inItem, input: Type.String() }),
  event(['error'], {
    code: nullableText,
    message: Type.String(),
    param: nullableText,
    error: OpenAiError.properties.error,
  }),
]);

export type ResponseBody = Static<typeof ResponseObject>;
export type OutputItemBody = Static<typeof OutputItem>;
export type OutputTextBody = Static<typeof OutputText>;
export type LogprobsBody = Static<typeof Logprobs>;
export type ToolEcho = Static<typeof ToolEcho>;
export type ToolChoiceEcho = Static<typeof ToolChoiceEcho>;
