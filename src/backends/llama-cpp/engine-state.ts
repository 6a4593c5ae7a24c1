/** How an engine is, for whoever has requests for it: what it means for them, and how it is shown. Pure. */
import type { Ability, ModelDetails, TargetStatus } from '../../core/backend.ts';
import { ServingError } from '../../core/errors.ts';
import type { ToolCallFormat } from './grammar/answer-grammar.ts';

export type EngineState =
  | { readonly phase: 'idle' }
  | { readonly phase: 'loading' }
  | ReadyEngine
  /** It died and is restarted, now or after a delay. `waitWorthwhile`: soon enough for requests to wait. */
  | { readonly phase: 'restarting'; readonly waitWorthwhile: boolean; readonly detail: string }
  /** It is not restarted by itself. */
  | { readonly phase: 'failed'; readonly error: ServingError }
  | { readonly phase: 'closed' };

export interface ReadyEngine {
  readonly phase: 'ready';
  readonly contextSize: number;
  readonly abilities: readonly Ability[];
  /** How the model writes tool calls; absent: it generates no text. */
  readonly toolCallFormat?: ToolCallFormat | undefined;
}

/** How an engine left the requests that it had. */
export type EngineLoss = 'stopped' | 'hung';

/** Why no request is accepted now. */
export function rejectionOf(state: EngineState): ServingError | undefined {
  if (state.phase === 'closed') return closedError();
  if (state.phase === 'failed') return downError();
  if (state.phase === 'idle') return loadingError();
  if (state.phase === 'restarting' && !state.waitWorthwhile) return downError();
  return undefined;
}

/** As a target has it. `configured`: the context, as long as the engine's own is not known. */
export function statusOf(
  state: EngineState,
  configured: { readonly contextSize: number },
  details?: ModelDetails,
): TargetStatus {
  const { contextSize } = configured;
  switch (state.phase) {
    case 'idle':
      return { state: 'unloaded', loaded: false, contextSize };
    case 'loading':
      return { state: 'loading', loaded: false, contextSize, detail: 'The model is being loaded.' };
    case 'ready': {
      const { abilities } = state;
      return {
        state: 'ready',
        loaded: true,
        contextSize: state.contextSize,
        abilities,
        ...(details && { details }),
      };
    }
    case 'restarting': {
      const { waitWorthwhile, detail } = state;
      return { state: 'failed', loaded: false, restarting: waitWorthwhile, contextSize, detail };
    }
    case 'failed':
      return { state: 'failed', loaded: false, contextSize, detail: state.error.message };
    case 'closed':
      return { state: 'failed', loaded: false, contextSize, detail: 'The engine was closed.' };
    default:
      return state satisfies never;
  }
}

/** For a request that the engine had when it ended. */
export function lostError(how: EngineLoss): ServingError {
  return new ServingError('backend_error', {
    message: `The engine ${how} while it worked on this request. It is being restarted: send the request again.`,
    failure: 'engine_lost',
  });
}

export function downError(): ServingError {
  return new ServingError('backend_error', {
    message:
      'The engine is not running: it could not be started, or keeps failing. Try again later; the server’s log says why.',
    failure: 'engine_lost',
  });
}

function loadingError(): ServingError {
  return new ServingError('model_loading', { retryAfterSeconds: 1 });
}

export function closedError(): ServingError {
  return new ServingError('draining', { retryAfterSeconds: 1, failure: 'engine_lost' });
}
