/** The models of the server: their names from /v1/models, and what one can do, from Ollama's /api/show. */
import { callApi } from '../api/request.ts';
import { isObject } from './settings.ts';

export interface ModelEntry {
  readonly id: string;
  /** Tokens of its context, where it is known. */
  readonly contextSize: number | undefined;
}

export interface Abilities {
  readonly images: boolean;
  readonly tools: boolean;
  readonly thinking: boolean;
  /** False: it makes vectors alone. */
  readonly chat: boolean;
}

/** A server that is silent for longer counts as gone. */
const SILENCE_MS = 15_000;

export async function listModels(signal: AbortSignal): Promise<readonly ModelEntry[]> {
  const answer: unknown = await (await callApi('v1/models', { signal, silenceMs: SILENCE_MS })).json();
  const data = isObject(answer) && Array.isArray(answer.data) ? (answer.data as readonly unknown[]) : [];
  return data.flatMap((each) =>
    isObject(each) && typeof each.id === 'string'
      ? [
          {
            id: each.id,
            contextSize: typeof each.max_model_len === 'number' ? each.max_model_len : undefined,
          },
        ]
      : [],
  );
}

/** Undefined where the server does not tell: then everything is offered, and the server refuses what it cannot do. */
export async function abilitiesOf(model: string): Promise<Abilities | undefined> {
  const response = await callApi('api/show', {
    method: 'POST',
    body: { model },
    quiet: true,
    silenceMs: SILENCE_MS,
  });
  const answer: unknown = await response.json();
  const list: unknown = isObject(answer) ? answer.capabilities : undefined;
  // The one ability that is told of models whose targets tell none.
  if (!Array.isArray(list) || (list.length === 1 && list[0] === 'completion')) return undefined;
  return {
    images: list.includes('vision'),
    tools: list.includes('tools'),
    thinking: list.includes('thinking'),
    chat: list.includes('completion'),
  };
}
