/**
 * Reads an order before it waits for a sequence: its prompt as tokens, its grammar, and whether this model can do what
 * is asked. Keeps nothing.
 */
import { ServingError } from '../../../core/errors.ts';
import type { CompiledGrammar } from '../grammar/answer-grammar.ts';
import type { EngineGenerationRequest } from '../messages.ts';
import { type FailedEvent, failedEvent, messageOf } from './engine-worker.ts';
import type { GrammarWatch } from './grammar-watch.ts';
import type { Token } from './library.ts';
import type { GrammarState } from './native.ts';
import type { EncodedPrompt, PromptEncoder } from './prompt.ts';
import { requireKnownTokens } from './vocabulary.ts';

/** What holds one answer to its grammar. */
export interface ActiveGrammar {
  readonly state: GrammarState;
  readonly watch: GrammarWatch;
}

export interface AdmittedRequest {
  readonly order: EngineGenerationRequest;
  readonly prompt: EncodedPrompt;
  /** Begins it anew for each that asks. */
  readonly grammar: (() => ActiveGrammar) | undefined;
  /** Token sequences that never come in the answer. */
  readonly banned: readonly (readonly Token[])[];
}

/** The order as the batcher takes it, or the event that ends it. */
export type Admit = (order: EngineGenerationRequest) => AdmittedRequest | FailedEvent;

export interface AdmissionOptions {
  readonly prompts: PromptEncoder;
  readonly contextSize: number;
  readonly vocabularySize: number;
  readonly tokensOfBadWords: (words: readonly string[]) => readonly (readonly Token[])[];
  /** Throws where llama.cpp cannot read it. */
  readonly readGrammar: (grammar: CompiledGrammar) => () => ActiveGrammar;
}

const CANNOT_THINK = 'think is set, but this model cannot think. Leave it away.';
const RAW_CANNOT_THINK =
  'think needs the chat template, so it cannot go with a raw prompt. Leave one of the two away.';

const BEGUN_CANNOT_THINK =
  'think cannot go with a last message that the answer continues: the answer has begun, so its thought is over. Leave one of the two away.';

export function createAdmission(options: AdmissionOptions): Admit {
  return (order) => {
    let prompt: EncodedPrompt;
    try {
      refuseUnknownTokens(order, options.vocabularySize);
      prompt = options.prompts.encode(order);
    } catch (thrown) {
      return failedEvent(thrown, 'read the prompt');
    }
    const refusal = refusePrompt(order, prompt, options);
    if (refusal !== undefined) return refusal;
    try {
      const { grammar } = order;
      const banned = options.tokensOfBadWords(order.sampling.badWords ?? []);
      return {
        order,
        prompt,
        grammar: grammar === undefined ? undefined : options.readGrammar(grammar),
        banned,
      };
    } catch (thrown) {
      return refuseGrammar(thrown);
    }
  };
}

function whyNotThinking(input: EngineGenerationRequest['input']): string {
  if (input.kind !== 'chat') return RAW_CANNOT_THINK;
  return input.continuesLast ? BEGUN_CANNOT_THINK : CANNOT_THINK;
}

function refuseUnknownTokens(
  { input, sampling, limits }: EngineGenerationRequest,
  vocabularySize: number,
): void {
  const biased = sampling.logitBias?.map(({ token }) => token) ?? [];
  requireKnownTokens(biased, vocabularySize, 'logit_bias');
  requireKnownTokens(limits.stopTokens ?? [], vocabularySize, 'stop_token_ids');
  if (input.kind === 'tokens') requireKnownTokens(input.tokens, vocabularySize, 'prompt');
}

function refusePrompt(
  { input, thinking }: EngineGenerationRequest,
  { tokens, thought }: EncodedPrompt,
  { contextSize }: AdmissionOptions,
): FailedEvent | undefined {
  const param = input.kind === 'chat' ? 'messages' : 'prompt';
  if (thinking !== undefined && thinking !== false && thought === 'none') {
    const message = whyNotThinking(input);
    return { type: 'failed', code: 'unsupported_parameter', param: 'think', message };
  }
  if (tokens.length === 0) {
    const message = 'The prompt has no tokens: write at least one.';
    return { type: 'failed', code: 'invalid_request', param, message };
  }
  if (tokens.length < contextSize) return undefined;
  const message =
    `The prompt has ${tokens.length} tokens, but the context holds ${contextSize} tokens, prompt and answer together: ` +
    'shorten the prompt, or have the server’s context_size raised.';
  return { type: 'failed', code: 'context_length_exceeded', param, message };
}

function refuseGrammar(thrown: unknown): FailedEvent {
  if (thrown instanceof ServingError) return failedEvent(thrown, 'read the grammar');
  const message = `The grammar cannot be used: ${messageOf(thrown)}`;
  return { type: 'failed', code: 'invalid_request', param: 'grammar', message };
}
