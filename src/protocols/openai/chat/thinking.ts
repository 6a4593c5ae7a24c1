/**
 * Whether the model is to think: `reasoning_effort`, or one of the switches that clients of other servers know. A switch that is no
 * boolean is a matter of the template alone.
 */
import type { ReasoningEffort } from '../../../core/generation.ts';
import type { FieldNames } from '../../protocol.ts';
import { EFFORTS } from '../request-fields.ts';
import type { ChatBody } from './schema.ts';

/** Read here, and also passed by the same name to servers that have them. */
export const THINKING_FIELDS = ['chat_template_kwargs', 'enable_thinking'] as const;

type ThinkingBody = Pick<ChatBody, 'reasoning_effort' | (typeof THINKING_FIELDS)[number]>;

interface Thinking {
  readonly effort: ReasoningEffort;
  /** Native field → what this body calls it; absent: as the route calls it. */
  readonly fieldNames?: FieldNames;
}

export function parseThinking(body: ThinkingBody): Thinking | undefined {
  const { reasoning_effort: effort, chat_template_kwargs: kwargs, enable_thinking } = body;
  if (effort !== undefined) return { effort: EFFORTS[effort] };
  const { enable_thinking: first, thinking: second } = (kwargs ?? {}) as Readonly<Record<string, unknown>>;
  return (
    asSwitch('chat_template_kwargs.enable_thinking', first) ??
    asSwitch('chat_template_kwargs.thinking', second) ??
    asSwitch('enable_thinking', enable_thinking)
  );
}

function asSwitch(field: string, value: unknown): Thinking | undefined {
  return typeof value === 'boolean' ? { effort: value, fieldNames: { think: field } } : undefined;
}
