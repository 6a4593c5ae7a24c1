/**
 * What a request may ask beyond text, and the refusal of what a backend does not pass on: by the name of the field, before
 * anything is sent. Nothing that a client asks for is silently left away. Pure.
 */
import { ServingError } from '../core/errors.ts';
import type { GenerationRequest } from '../core/generation.ts';

/** Feature → the field that asks for it, if the request does. */
const ASKED_BY = {
  json: ({ output }) => (output?.kind === 'json' ? 'format' : undefined),
  'json-schema': ({ output }) => (output?.kind === 'json-schema' ? 'format' : undefined),
  grammar: ({ output }) => (output?.kind === 'grammar' ? 'grammar' : undefined),
  tools: ({ tools }) => (tools === undefined ? undefined : 'tools'),
  'tool-messages': toolMessage,
  logprobs: ({ logprobs }) => (logprobs === undefined ? undefined : 'logprobs'),
  'logit-bias': ({ sampling }) => (sampling.logitBias === undefined ? undefined : 'logit_bias'),
} as const satisfies Record<string, (request: GenerationRequest) => string | undefined>;

export type Feature = keyof typeof ASKED_BY;

export function refuseUnsupported(
  request: GenerationRequest,
  { backend, supports }: { readonly backend: string; readonly supports: readonly Feature[] },
): void {
  for (const [feature, askedBy] of Object.entries(ASKED_BY)) {
    const field = askedBy(request);
    if (field === undefined || supports.includes(feature as Feature)) continue;
    throw new ServingError('invalid_request', {
      message: `${field} is not supported by the ${backend} backend, which serves this model. Leave it away, or use another model.`,
      param: field,
    });
  }
}

function toolMessage({ input }: GenerationRequest): string | undefined {
  if (input.kind !== 'chat') return undefined;
  const index = input.messages.findIndex(
    (message) => message.role === 'tool' || (message.role === 'assistant' && message.toolCalls !== undefined),
  );
  if (index === -1) return undefined;
  return `messages[${index}].${input.messages[index]?.role === 'tool' ? 'role' : 'tool_calls'}`;
}
