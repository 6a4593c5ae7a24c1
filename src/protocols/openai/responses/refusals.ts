/**
 * What the official API has and this one refuses: all that needs something kept between two requests, and what runs on the
 * servers of others. Each refusal says why, and what to do.
 */
import { ServingError } from '../../../core/errors.ts';
import { showValue } from '../../../schema/violation.ts';

const WHOLE_CONVERSATION =
  'Send the whole conversation in input, with what earlier responses had in their output.';

interface RefusedField {
  /** Absent: any value. */
  readonly refuses?: (value: unknown) => boolean;
  readonly because: string;
}

const REFUSED_FIELDS: Readonly<Record<string, RefusedField>> = {
  previous_response_id: { because: `is not supported: no response is kept here. ${WHOLE_CONVERSATION}` },
  conversation: { because: `is not supported: no conversation is kept here. ${WHOLE_CONVERSATION}` },
  prompt: {
    because:
      'is not supported: no prompt templates are kept here. Write the prompt into instructions and input.',
  },
  background: {
    refuses: (value) => value === true,
    because:
      'cannot be true: no response is kept here, so none could be asked for later. Leave it away and wait, or set stream to true.',
  },
  truncation: {
    refuses: (value) => value === 'auto',
    because:
      'cannot be "auto": nothing of a conversation is cut here. Leave it away, and send what fits into the context.',
  },
  context_management: {
    because:
      'is not supported: nothing is compacted here. Leave it away, and send what fits into the context.',
  },
  moderation: { because: 'is not supported: nothing is moderated here. Leave it away.' },
  messages: { because: 'belongs to /v1/chat/completions. Here it is input.' },
  max_tokens: { because: 'belongs to /v1/chat/completions. Here it is max_output_tokens.' },
  max_completion_tokens: { because: 'belongs to /v1/chat/completions. Here it is max_output_tokens.' },
  response_format: { because: 'belongs to /v1/chat/completions. Here it is text.format.' },
  reasoning_effort: { because: 'belongs to /v1/chat/completions. Here it is reasoning.effort.' },
  logprobs: {
    refuses: (value) => value !== false,
    because:
      'belongs to /v1/chat/completions. Here it is include, with the value "message.output_text.logprobs".',
  },
  logit_bias: { because: 'is not part of this API. Use /v1/chat/completions.' },
  n: {
    refuses: (value) => value !== 1,
    because: 'is not part of this API: a request has one response. Use /v1/chat/completions.',
  },
  functions: { because: 'belongs to /v1/chat/completions. Here it is tools.' },
  function_call: { because: 'belongs to /v1/chat/completions. Here it is tool_choice.' },
};

export function refuseFields(body: unknown): void {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return;
  for (const [field, value] of Object.entries(body)) {
    const refused = Object.hasOwn(REFUSED_FIELDS, field) ? REFUSED_FIELDS[field] : undefined;
    if (refused === undefined || value === null) continue;
    if (refused.refuses?.(value) ?? true) throw unsupported(field, `${field} ${refused.because}`);
  }
}

export function unknownTool(type: unknown, path: string): ServingError {
  return unsupported(
    path,
    `${path} is ${showValue(type)}, but must be "function", "custom" or "namespace": other forms of tools are not known here. Offer a function, and run it yourself.`,
  );
}

export function itemReference(path: string): ServingError {
  return unsupported(
    path,
    `${path} refers to an item by its id, but none is kept here. Send the item itself.`,
  );
}

export function unknownItem(type: unknown, path: string): ServingError {
  return unsupported(
    path,
    `${path} is ${showValue(type)}, but must be one of "message", "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output", "reasoning": other items are not known here. Remove the item.`,
  );
}

/** `unsupported_parameter`: the body is good, elsewhere. */
export function unsupported(param: string, message: string): ServingError {
  return new ServingError('unsupported_parameter', { param, message });
}
