/** What a request asks of the model, as its spans show it. Noted by reference, so that it costs next to nothing. */
import type { GenerationInput, GenerationRequest, GenerationResult } from './generation.ts';

/** What was asked of the model. */
export interface AskedOfModel {
  readonly operation: 'chat' | 'text_completion' | 'embeddings';
  /** Of the answer, as its client sees it. */
  readonly responseId: string | undefined;
  readonly isStreamed: boolean;
  readonly choices: number;
  readonly sampling: Partial<GenerationRequest['sampling']>;
  readonly limits: Pick<GenerationRequest['limits'], 'stop' | 'maxTokens'>;
  /** Absent: text. */
  readonly output: 'json' | undefined;
  /** Only where the configuration asks for contents. */
  readonly contents: TracedContents | undefined;
}

/** Prompts and answers of one request. */
export interface TracedContents {
  readonly inputs: readonly GenerationInput[];
  readonly tools: GenerationRequest['tools'];
  /** By choice; those that have finished. */
  readonly results: GenerationResult[];
}
