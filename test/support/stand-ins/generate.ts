/** Shortcuts for tests that ask a backend directly. */
import type { Backend, GenerateOptions } from '../../../src/core/backend.ts';
import type { GenerationEvent, GenerationRequest, RequestId } from '../../../src/core/generation.ts';
import { pulled } from '../pulled-generation.ts';

export function chatRequest(content: string, overrides: Partial<GenerationRequest> = {}): GenerationRequest {
  return {
    id: 'gen_test' as RequestId,
    model: 'smollm2',
    input: { kind: 'chat', messages: [{ role: 'user', content }] },
    sampling: {},
    limits: { stop: [], maxTokens: 8 },
    thinking: false,
    thinkingIsDefault: true,
    ...overrides,
  };
}

export function textRequest(prompt: string, overrides: Partial<GenerationRequest> = {}): GenerationRequest {
  return chatRequest('', { input: { kind: 'text', prompt }, ...overrides });
}

export function neverAborted(): AbortSignal {
  return new AbortController().signal;
}

export interface Generated {
  readonly events: readonly GenerationEvent[];
  /** What it threw in the end. */
  readonly error: unknown;
}

/** All that a backend gives, and what it throws then. */
export async function generateAll(
  backend: Backend,
  request: GenerationRequest,
  signal: AbortSignal = neverAborted(),
  options: GenerateOptions = {},
): Promise<Generated> {
  const events: GenerationEvent[] = [];
  try {
    for await (const event of pulled(backend, request, { ...options, signal })) events.push(event);
    return { events, error: undefined };
  } catch (error) {
    return { events, error };
  }
}

export function textOf(events: readonly GenerationEvent[]): string {
  return events.map((event) => (event.type === 'text' ? event.text : '')).join('');
}
