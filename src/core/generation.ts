/**
 * What every protocol is parsed into and what every backend yields.
 * A backend's stream ends with exactly one `finish`, or throws a ServingError; nothing follows either.
 */
import type { Usage } from './usage.ts';

/** Our own id of a request; never taken from a client. */
export type RequestId = string & { readonly __brand: 'RequestId' };

/** The name clients use for a model. */
export type ModelId = string;

export type Role = 'system' | 'user' | 'assistant';

/** `content` is plain text: special tokens written in it are text, they never end a turn. */
export interface Message {
  readonly role: Role;
  readonly content: string;
}

export type GenerationInput =
  | { readonly kind: 'chat'; readonly messages: readonly Message[] }
  /** No chat template; special tokens in the prompt are parsed. */
  | { readonly kind: 'text'; readonly prompt: string };

/** An absent field leaves the model's own default in force. `topK` 0 = off. */
export interface Sampling {
  readonly temperature?: number;
  readonly topP?: number;
  readonly topK?: number;
  readonly minP?: number;
  readonly seed?: number;
  readonly presencePenalty?: number;
  readonly frequencyPenalty?: number;
  readonly repeatPenalty?: number;
}

export interface Limits {
  /** Upper bound of completion tokens, cut by the backend to what the context leaves. Absent: what the context leaves. */
  readonly maxTokens?: number;
  /** `maxTokens` is the server's default, not the client's own bound: it says nothing about how long the answer will be. */
  readonly maxTokensIsDefault?: boolean;
  /** Generation ends before any of these; none is empty, none is ever part of the text. */
  readonly stop: readonly string[];
}

export type ThinkingWish = boolean | 'low' | 'medium' | 'high';

export interface GenerationRequest {
  readonly id: RequestId;
  readonly model: ModelId;
  readonly input: GenerationInput;
  readonly sampling: Sampling;
  readonly limits: Limits;
  readonly thinking: ThinkingWish;
}

export type FinishReason = 'stop' | 'length';

export type GenerationEvent =
  | { readonly type: 'start'; readonly promptTokens?: number; readonly cachedTokens?: number }
  /** Never empty, never half a character. */
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'reasoning'; readonly text: string }
  | {
      readonly type: 'finish';
      readonly reason: FinishReason;
      readonly matchedStop?: string;
      readonly usage: Usage;
    };
