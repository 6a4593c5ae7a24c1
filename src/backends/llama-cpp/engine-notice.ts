/** How an engine is, as the process that runs it tells those that use it. Plain JSON. */
import { ServingError } from '../../core/errors.ts';
import type { EngineNotice } from '../engine-sharing.ts';
import type { EngineLoss, EngineState } from './engine-state.ts';

/** What is not in the state itself. */
export interface EngineNews {
  /** Where an engine that is ready listens. */
  readonly address?: string | undefined;
  /** What the engine had is lost. */
  readonly loss?: EngineLoss | undefined;
}

export interface HeardEngine extends EngineNews {
  readonly state: EngineState;
}

type Failed = Extract<EngineState, { phase: 'failed' }>;

interface SentEngine extends EngineNews {
  readonly state:
    | Exclude<EngineState, Failed>
    | { readonly phase: Failed['phase']; readonly message: string };
}

export function noticeOf(state: EngineState, news: EngineNews = {}): EngineNotice {
  const sent: SentEngine = {
    ...news,
    state: state.phase === 'failed' ? { phase: 'failed', message: state.error.message } : state,
  };
  return { ...sent };
}

export function readNotice(notice: EngineNotice): HeardEngine {
  const { state, ...news } = notice as unknown as SentEngine;
  if (state.phase !== 'failed') return { ...news, state };
  const error = new ServingError('backend_error', { message: state.message, failure: 'engine_lost' });
  return { ...news, state: { phase: 'failed', error } };
}
