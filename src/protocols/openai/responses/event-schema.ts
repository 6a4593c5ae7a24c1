/** The events of a streamed response, in the order in which they may come. For OpenAPI; tests hold every event to it. */
import { type TProperties, Type } from 'typebox';
import { OpenAiError } from '../errors.ts';
import { Logprobs, OutputItem, OutputText, ReasoningText, ResponseObject } from './answer-schema.ts';

function event<Fields extends TProperties>(type: string, fields: Fields) {
  return Type.Object({
    type: Type.Literal(type),
    ...fields,
    sequence_number: Type.Integer({ minimum: 0, description: 'Counts the events of the stream.' }),
  });
}

const ofResponse = { response: ResponseObject };
const ofItem = { output_index: Type.Integer({ minimum: 0 }), item: OutputItem };
const inItem = { item_id: Type.String(), output_index: Type.Integer({ minimum: 0 }) };
const inPart = { ...inItem, content_index: Type.Literal(0) };
const part = { part: Type.Union([OutputText, ReasoningText]) };
const delta = { delta: Type.String({ minLength: 1 }) };

export const ResponseEvent = Type.Union([
  event('response.created', ofResponse),
  event('response.in_progress', ofResponse),
  event('response.output_item.added', ofItem),
  event('response.content_part.added', { ...inPart, ...part }),
  event('response.reasoning_text.delta', { ...inPart, ...delta }),
  event('response.reasoning_text.done', { ...inPart, text: Type.String() }),
  event('response.output_text.delta', { ...inPart, ...delta, logprobs: Logprobs }),
  event('response.output_text.done', { ...inPart, text: Type.String(), logprobs: Logprobs }),
  event('response.function_call_arguments.delta', { ...inItem, ...delta }),
  event('response.function_call_arguments.done', {
    ...inItem,
    name: Type.String(),
    arguments: Type.String(),
  }),
  event('response.content_part.done', { ...inPart, ...part }),
  event('response.output_item.done', ofItem),
  event('response.completed', ofResponse),
  event('response.incomplete', ofResponse),
  event('response.failed', ofResponse),
  event('error', {
    code: Type.Union([Type.String(), Type.Null()]),
    message: Type.String(),
    param: Type.Union([Type.String(), Type.Null()]),
    error: OpenAiError.properties.error,
  }),
]);
