/**
 * Reads a generation request before it waits for a sequence: its prompt as tokens, its grammar, and whether this model
 * can do what the request asks for. Keeps no state.
 */
import { ServingError } from '../../../core/errors.ts';
import { asksNotToThink } from '../../../core/features.ts';
import type { CompiledGrammar } from '../grammar/answer-grammar.ts';
import type { EngineGenerationRequest } from '../messages.ts';
import { type FailedEvent, failedEvent, messageOf } from './engine-worker.ts';
import type { GrammarWatch } from './grammar-watch.ts';
import type { GrammarState, Token } from './library.ts';
import type { EncodedPrompt, PromptEncoder } from './prompt.ts';
import { requireKnownTokens } from './vocabulary.ts';

/** A grammar as one answer follows it. */
export interface ActiveGrammar {
  readonly state: GrammarState;
  readonly watch: GrammarWatch;
}

export interface AdmittedRequest {
  readonly request: EngineGenerationRequest;
  /** With the tokens that the answer begins with, at the end of its own. */
  readonly prompt: EncodedPrompt;
  /** Starts it from its beginning. */
  readonly grammar: (() => ActiveGrammar) | undefined;
  /** Token sequences that never come in the answer. */
  readonly banned: readonly (readonly Token[])[];
}

const NONE: readonly never[] = [];

/** The request as the batcher takes it, or the event that ends it. */
export type Admit = (request: EngineGenerationRequest) => AdmittedRequest | FailedEvent;

interface AdmissionOptions {
  readonly prompts: PromptEncoder;
  readonly contextSize: number;
  readonly vocabularySize: number;
  readonly tokensOfBadWords: (words: readonly string[]) => readonly (readonly Token[])[];
  /** Throws if llama.cpp cannot read it. */
  readonly readGrammar: (grammar: CompiledGrammar) => () => ActiveGrammar;
}

export function createAdmission(options: AdmissionOptions): Admit {
  return (request) => {
    let prompt: EncodedPrompt;
    try {
      requireTokensOfModel(request, options.vocabularySize);
      prompt = options.prompts.encode(request);
      const { begunWith = NONE } = request;
      if (begunWith.length > 0) prompt = { ...prompt, tokens: [...prompt.tokens, ...(begunWith as Token[])] };
    } catch (thrown) {
      return failedEvent(thrown, 'read the prompt');
    }
    const failure = checkPrompt(request, prompt, options);
    if (failure !== undefined) return failure;
    try {
      const { grammar } = request;
      const banned = options.tokensOfBadWords(request.sampling.badWords ?? []);
      return {
        request,
        prompt,
        grammar: grammar === undefined ? undefined : options.readGrammar(grammar),
        banned,
      };
    } catch (thrown) {
      return grammarFailure(thrown);
    }
  };
}

function requireTokensOfModel(
  { input, sampling, limits, begunWith = NONE }: EngineGenerationRequest,
  vocabularySize: number,
): void {
  const biased = sampling.logitBias?.map(({ token }) => token) ?? [];
  requireKnownTokens(biased, vocabularySize, 'logit_bias');
  requireKnownTokens(limits.stopTokens ?? [], vocabularySize, 'stop_token_ids');
  requireKnownTokens(begunWith, vocabularySize, 'prompt');
  if (input.kind === 'tokens') requireKnownTokens(input.tokens, vocabularySize, 'prompt');
}

function checkPrompt(
  request: EngineGenerationRequest,
  { tokens, reasoning, ignoresThinkOff }: EncodedPrompt,
  { contextSize }: AdmissionOptions,
): FailedEvent | undefined {
  const { input, thinking } = request;
  const param = input.kind === 'chat' ? 'messages' : 'prompt';
  if (thinking !== undefined && thinking !== false && reasoning === 'none') {
    const message = whyNoThinking(input);
    return { type: 'failed', code: 'unsupported_parameter', param: 'think', message };
  }
  if (ignoresThinkOff && asksNotToThink(request)) {
    const message = 'think is off, but this model’s chat template has no switch for it. Remove it.';
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

function whyNoThinking(input: EngineGenerationRequest['input']): string {
  if (input.kind !== 'chat')
    return 'think needs the chat template, so it cannot be used with a raw prompt. Remove one of the two.';
  if (input.continuesLast)
    return 'think cannot be used when the answer continues the last message: the answer has begun, and thinking comes before it. Remove one of the two.';
  return 'think is set, but this model does not support thinking. Remove it.';
}

function grammarFailure(thrown: unknown): FailedEvent {
  if (thrown instanceof ServingError) return failedEvent(thrown, 'read the grammar');
  const message = `The grammar cannot be used: ${messageOf(thrown)}`;
  return { type: 'failed', code: 'invalid_request', param: 'grammar', message };
}
