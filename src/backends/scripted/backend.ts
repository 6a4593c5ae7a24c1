/**
 * A backend that plays a script: deterministic words, delays and failures, for tests and benchmarks. A token is a word. The same
 * prompt and seed give the same words; all waiting goes through the given clock.
 */
import { Type } from 'typebox';
import type {
  Backend,
  CallOptions,
  EmbeddingRequest,
  Embeddings,
  Generation,
  GenerationSink,
  TargetState,
  TargetStatus,
} from '../../core/backend.ts';
import { abortable, Cancellation, type OnCancel } from '../../core/cancellation.ts';
import type { Clock, Timer } from '../../core/clock.ts';
import { ServingError } from '../../core/errors.ts';
import type { FailureCause } from '../../core/failure.ts';
import { type Feature, refuseUnsupported, unsupported } from '../../core/features.ts';
import type { FinishReason, GenerationRequest } from '../../core/generation.ts';
import { RunningGeneration } from '../../core/sink.ts';
import { defineBackend } from '../backend-definition.ts';
import { countTokens, promptTokensOf, readEmbeddingInputs, TextEmitter, vectorOf, wordsOf } from './model.ts';
import {
  callEvents,
  callsFor,
  readScript,
  rejectOtherFormat,
  type Script,
  type ScriptedCall,
  type ScriptedRequest,
  scriptKeys,
} from './script.ts';

export const scripted = defineBackend({
  name: 'scripted',
  summary:
    'Plays a script instead of running a model: deterministic words, delays and failures, for tests and benchmarks.',
  keys: {
    ...scriptKeys,
    context_size: Type.Integer({
      minimum: 2,
      default: 4096,
      description: 'Maximum words of prompt and answer together.',
    }),
    load_ms: Type.Integer({
      minimum: 0,
      default: 0,
      description: 'How long loading takes; 0: loaded from the start.',
    }),
    state: Type.Union(
      [
        Type.Literal('ready'),
        Type.Literal('loading'),
        Type.Literal('unloaded'),
        Type.Literal('unreachable'),
        Type.Literal('not_found'),
        Type.Literal('failed'),
      ],
      { default: 'ready', description: 'The state that probes report once it is loaded.' },
    ),
  },
  defaultSlots: 4,
  embedded: false,
  create: (target, environment) => new ScriptedBackend(target, environment.clock),
});

/** Of `rate-limited`. */
const RETRY_AFTER_SECONDS = 7;

function thinkingUnsupported(): ServingError {
  return unsupported('think', 'this model');
}

function scriptedFailure(failure: FailureCause): ServingError {
  return new ServingError('backend_error', {
    message: 'The scripted backend failed, as its script says.',
    failure,
  });
}

export interface ScriptedTarget extends Script {
  readonly model: string;
  readonly context_size: number;
  readonly load_ms: number;
  readonly state: TargetState;
}

/** Shows a test what reached the backend. */
export interface ScriptedObserver {
  started(request: GenerationRequest): void;
  ended(request: GenerationRequest, outcome: 'completed' | 'failed' | 'aborted'): void;
}

const SUPPORTED: readonly Feature[] = [
  'json',
  'json-schema',
  'regex',
  'choice',
  'continuation',
  'tools',
  'tool-choice',
  'strict-tools',
  'tool-messages',
  'format-beside-tools',
  'logprobs',
  'top-k',
  'min-p',
  'repeat-penalty',
  'think',
];

/** Scripts without delays let other work run after so many tokens. */
const TOKENS_PER_TURN = 64;

export class ScriptedBackend implements Backend {
  readonly #target: ScriptedTarget;
  readonly #clock: Clock;
  readonly #observer: ScriptedObserver | undefined;
  readonly #closing = new Cancellation();
  #load: 'unloaded' | 'loading' | 'loaded';

  constructor(target: ScriptedTarget, clock: Clock, observer?: ScriptedObserver) {
    this.#target = target;
    this.#clock = clock;
    this.#observer = observer;
    this.#load = target.load_ms > 0 ? 'unloaded' : 'loaded';
  }

  generate(request: GenerationRequest, sink: GenerationSink): Generation {
    return new RunningGeneration(sink, (generation) => this.#observed(request, generation));
  }

  async embed(request: EmbeddingRequest, { signal }: CallOptions): Promise<Embeddings> {
    signal.throwIfAborted();
    const { script, texts, promptTokens } = readEmbeddingInputs(request, this.#target);
    await this.#prefill(script, promptTokens, (delayMs) => this.#waitUnless(signal, delayMs));
    signal.throwIfAborted();
    return { vectors: texts.map(vectorOf), promptTokens };
  }

  async probe(): Promise<TargetStatus> {
    const loaded = this.#load === 'loaded';
    const state = this.#closing.reason ? 'unreachable' : loaded ? this.#target.state : this.#load;
    return { state: state === 'loaded' ? 'ready' : state, loaded, contextSize: this.#target.context_size };
  }

  async warmUp({ signal }: CallOptions): Promise<void> {
    if (this.#load === 'loaded') return;
    this.#load = 'loading';
    try {
      await this.#waitUnless(signal, this.#target.load_ms);
      this.#load = 'loaded';
    } finally {
      if (this.#load === 'loading') this.#load = 'unloaded';
    }
  }

  async close(): Promise<void> {
    this.#closing.cancel(new ServingError('draining'));
  }

  async #observed(request: GenerationRequest, generation: RunningGeneration): Promise<void> {
    this.#observer?.started(request);
    let outcome: 'completed' | 'failed' | 'aborted' = 'failed';
    try {
      await this.#play(request, generation);
      outcome = 'completed';
    } finally {
      this.#observer?.ended(request, generation.isCancelled ? 'aborted' : outcome);
    }
  }

  async #play(request: GenerationRequest, generation: RunningGeneration): Promise<void> {
    refuseUnsupported(request, { backend: 'scripted', supports: SUPPORTED });
    const part = readScript(request.input, this.#target);
    const { script } = part;
    const calls = callsFor(script, request.tools);
    if (calls.length === 0) rejectOtherFormat(script.text, request.output);
    const promptTokens = promptTokensOf(request.input, part.prompt);
    if (request.thinking && script.reasoning === undefined) throw thinkingUnsupported();
    const room = this.#roomFor(promptTokens);
    const wait: Wait = (delayMs) => this.#waitIn(generation, delayMs);
    await this.#prefill(script, promptTokens, wait);
    generation.event({ type: 'start', promptTokens, cachedTokens: 0 });
    const completion = await this.#answer({ request, part, calls, room, generation, wait });
    const { reason, matchedStop } = completion;
    const usage = { promptTokens, completionTokens: completion.tokens, cachedTokens: 0 };
    generation.event({
      type: 'finish',
      reason,
      ...(matchedStop === undefined ? {} : { matchedStop }),
      usage,
    });
  }

  /** All that comes before the answer, its failures included. */
  async #prefill(script: Script, promptTokens: number, wait: Wait): Promise<void> {
    if (this.#closing.reason !== undefined) throw this.#closing.reason;
    if (script.fail === 'rate-limited') {
      const failure = 'rate_limited';
      throw new ServingError('upstream_rate_limited', { retryAfterSeconds: RETRY_AFTER_SECONDS, failure });
    }
    if (script.fail === 'content-filter') throw new ServingError('content_filtered');
    if (script.fail === 'refuse')
      throw new ServingError('no_backend_available', { retryAfterSeconds: 1, failure: 'unreachable' });
    await wait(script.first_token_delay_ms + promptTokens * script.prefill_token_delay_ms);
    if (script.fail === 'hang') await wait(undefined);
    if (script.fail === 'error') throw scriptedFailure('server_error');
  }

  #roomFor(promptTokens: number): number {
    const contextSize = this.#target.context_size;
    if (promptTokens < contextSize) return contextSize - promptTokens;
    throw new ServingError('context_length_exceeded', {
      message: `The prompt has ${promptTokens} tokens, but the model’s context holds ${contextSize}. Shorten the prompt.`,
    });
  }

  async #answer(context: AnswerContext): Promise<Completion> {
    const { request, part, calls, generation } = context;
    const { script } = part;
    const words =
      calls.length > 0 && script.text === undefined ? [] : wordsOf(part, request.sampling.seed ?? 0);
    const limit = Math.min(request.limits.maxTokens ?? context.room, context.room);
    const emitter = new TextEmitter(request, generation);
    // Thinks by default, as real models do.
    const reasoningTokens = request.thinking === false ? 0 : countTokens(script.reasoning ?? '');
    if (reasoningTokens > 0 && script.reasoning !== undefined)
      generation.event({ type: 'reasoning', text: script.reasoning });

    let tokens = reasoningTokens;
    let spoken = 0;
    for (const word of words) {
      if (tokens >= limit) {
        emitter.end();
        return { tokens, reason: 'length' };
      }
      await this.#beforeToken(spoken, context);
      tokens += 1;
      spoken += 1;
      const matchedStop = emitter.push(word);
      if (matchedStop !== undefined) return { tokens, reason: 'stop', matchedStop };
    }
    emitter.end();
    return calls.length === 0 ? { tokens, reason: 'stop' } : this.#call(context, { tokens, spoken, limit });
  }

  async #call(
    context: AnswerContext,
    progress: { readonly tokens: number; readonly spoken: number; readonly limit: number },
  ): Promise<Completion> {
    let { tokens, spoken } = progress;
    for (const event of callEvents(context.calls, context.part.script.turn)) {
      if (tokens >= progress.limit) return { tokens, reason: 'length' };
      await this.#beforeToken(spoken, context);
      tokens += 1;
      spoken += 1;
      context.generation.event(event);
    }
    return { tokens, reason: 'tool_calls' };
  }

  /** The script's pace, and its failure in the middle. */
  async #beforeToken(spoken: number, { part: { script }, generation, wait }: AnswerContext): Promise<void> {
    if (spoken > 0) {
      if (script.token_delay_ms > 0) await wait(script.token_delay_ms);
      else if (spoken % TOKENS_PER_TURN === 0) await this.#nextTurn();
      if (generation.isPaused) await generation.resumed();
      // Its error is not read by anyone.
      if (generation.isCancelled) throw new ServingError('client_gone');
    }
    if (spoken !== script.fail_after_tokens) return;
    if (script.fail === 'mid-stream') throw scriptedFailure('cut');
    if (script.fail === 'hang-mid-stream') await wait(undefined);
  }

  #nextTurn(): Promise<void> {
    return new Promise((resolve) => this.#clock.atEndOfTurn(resolve));
  }

  #waitIn(generation: RunningGeneration, delayMs: number | undefined): Promise<void> {
    return this.#wait(delayMs, (abort) => generation.hold({ abort, pause() {}, resume() {} }));
  }

  #waitUnless(signal: AbortSignal, delayMs: number | undefined): Promise<void> {
    return abortable(signal, ({ resolve, reject }) => {
      let abort: OnCancel | undefined;
      const onStart = (given: OnCancel) => {
        abort = given;
      };
      void this.#wait(delayMs, onStart).then(resolve, reject);
      return () => abort?.(signal.reason);
    });
  }

  /** Rejects when it is aborted or the backend is closed. Without a delay it waits for just that. */
  #wait(delayMs: number | undefined, onStart: (abort: OnCancel) => void): Promise<void> {
    if (delayMs === 0) return Promise.resolve();
    const closing = this.#closing;
    return new Promise((resolve, reject) => {
      let timer: Timer | undefined;
      const abort: OnCancel = (reason) => {
        timer?.cancel();
        closing.off(abort);
        reject(reason);
      };
      onStart(abort);
      closing.onCancel(abort);
      if (delayMs === undefined) return;
      timer = this.#clock.schedule(delayMs, () => {
        closing.off(abort);
        resolve();
      });
    });
  }
}

/** Undefined: until aborted. */
type Wait = (delayMs: number | undefined) => Promise<void>;

interface AnswerContext {
  readonly request: GenerationRequest;
  readonly part: ScriptedRequest;
  readonly calls: readonly ScriptedCall[];
  /** Tokens that the context leaves. */
  readonly room: number;
  readonly generation: RunningGeneration;
  readonly wait: Wait;
}

interface Completion {
  readonly tokens: number;
  readonly reason: FinishReason;
  readonly matchedStop?: string;
}
