/** What the engine's process gives its requests to, one worker for each kind, and how a request fails there. */
import { ServingError } from '../../../core/errors.ts';
import type { EngineEvent, EngineReport } from '../messages.ts';
import { ConversationRejectedError } from './chat-template.ts';

/** Each request that was added ends with exactly one final event, after which nothing of it runs. */
export interface EngineWorker<EngineRequest extends { readonly id: number }> {
  add(request: EngineRequest): void;
  /** Takes effect between steps. A request with an unknown id has ended already. */
  abort(id: number): void;
  /** For a reader slower than the engine: no step computes for it until `resume`. Takes effect between steps. */
  pause(id: number): void;
  resume(id: number): void;
  /** Settles when the step under way is over; nothing runs afterwards. */
  stop(): Promise<void>;
}

/** For requests that the loaded model cannot serve: each fails with this message. */
export function rejectingWorker(
  emit: (events: readonly EngineEvent[]) => void,
  message: string,
): EngineWorker<{ readonly id: number }> {
  return {
    add: ({ id }) =>
      emit([{ id, event: { type: 'failed', code: 'invalid_request', param: 'model', message } }]),
    abort() {},
    pause() {},
    resume() {},
    async stop() {},
  };
}

export type FailedEvent = Extract<EngineReport, { type: 'failed' }>;

/** `work`: what the engine could not do, for an error that is not the request's fault. */
export function failedEvent(thrown: unknown, work: string): FailedEvent {
  if (thrown instanceof ServingError) {
    const { code, message, param } = thrown;
    return { type: 'failed', code, message, ...(param !== undefined && { param }) };
  }
  if (thrown instanceof ConversationRejectedError) {
    const message = `The model’s chat template rejects these messages: ${thrown.message}`;
    return { type: 'failed', code: 'invalid_request', param: 'messages', message };
  }
  const message = `The engine could not ${work}: ${messageOf(thrown)}`;
  return { type: 'failed', code: 'backend_error', message };
}

export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
