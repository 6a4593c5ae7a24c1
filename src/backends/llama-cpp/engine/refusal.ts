/** What was thrown while an order was read or carried out, as the event that ends it. Pure. */
import { ServingError } from '../../../core/errors.ts';
import type { EngineReport } from '../messages.ts';
import { ConversationRefusedError } from './jinja-template.ts';

export type Refusal = Extract<EngineReport, { type: 'failed' }>;

/** `work`: what the engine was about, for what is no fault of the order. */
export function refusalOf(thrown: unknown, work: string): Refusal {
  if (thrown instanceof ServingError) {
    const { code, message, param } = thrown;
    return { type: 'failed', code, message, ...(param !== undefined && { param }) };
  }
  if (thrown instanceof ConversationRefusedError) {
    const message = `The model’s chat template refuses these messages: ${thrown.message}`;
    return { type: 'failed', code: 'invalid_request', param: 'messages', message };
  }
  const message = `The engine could not ${work}: ${reasonOf(thrown)}`;
  return { type: 'failed', code: 'backend_error', message };
}

export function reasonOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
