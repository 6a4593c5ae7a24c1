/** The events of a streamed response, those with the same fields together. For OpenAPI; tests hold every event to it. */
import { type TProperties, Type } from 'typebox';
import { OpenAiError } from '../errors.ts';
import {
  Logprobs,
  OutputItem,
  OutputText,
  ReasoningText,
  ResponseObject,
  SummaryText,
} from './answer-schema.ts';

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
const nullableText = Type.Union([Type.String(), Type.Null()]);

export const ResponseEvent = Type.Union([
  event(
    [
      'response.created',
      'response.in_progress',
      'response.completed',
      'response.incomplete',
      'response.failed',
    ],
    { response: ResponseObject },
  ),
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
