/**
 * Whether the model is to think: `reasoning_effort`, or what clients of other servers send for it. A switch that is no
 * boolean is a matter of the template alone.
 */
import type { ReasoningEffort } from '../../../core/generation.ts';
import type { FieldNames } from '../../protocol.ts';
import { EFFORTS } from '../request-fields.ts';
import type { ChatBody } from './schema.ts';

/** Read here, and also passed by the same name to servers that have them. */
export const THINKING_FIELDS = ['chat_template_kwargs', 'enable_thinking', 'reasoning'] as const;

type ThinkingBody = Pick<ChatBody, 'reasoning_effort' | (typeof THINKING_FIELDS)[number]>;

interface Thinking {
  readonly effort: ReasoningEffort;
  /** Native field → what this body calls it; absent: as the route calls it. */
  readonly fieldNames?: FieldNames;
}

export function parseThinking(body: ThinkingBody): Thinking | undefined {
  const { reasoning_effort: effort, chat_template_kwargs: kwargs, enable_thinking, reasoning } = body;
  if (effort !== undefined) return { effort: EFFORTS[effort] };
  if (reasoning?.effort !== undefined)
    return { effort: EFFORTS[reasoning.effort], fieldNames: { think: 'reasoning.effort' } };
  const { enable_thinking: first, thinking: second } = (kwargs ?? {}) as Readonly<Record<string, unknown>>;
  return (
    asSwitch('chat_template_kwargs.enable_thinking', first) ??
    asSwitch('chat_template_kwargs.thinking', second) ??
    asSwitch('enable_thinking', enable_thinking) ??
    asSwitch('reasoning.enabled', reasoning?.enabled)
  );
}

function asSwitch(field: string, value: unknown): Thinking | undefined {
  return typeof value === 'boolean' ? { effort: value, fieldNames: { think: field } } : undefined;
}
