/**
 * The way of this process's requests to an engine, wherever that runs. Owns them, and those who wait for the model. Invariant:
 * requests that an engine had when it was lost fail, so that serving tries them again; those that had not been sent yet wait for the
 * next engine, as long as that is worth waiting for.
 */
import { abortable, type Settle } from '../../core/cancellation.ts';
import type { ServingError } from '../../core/errors.ts';
import {
  type EmbeddingSink,
  type EngineGenerationSink,
  type EngineSink,
  PendingRequests,
  type RequestHandle,
  type TokenizerSink,
} from './engine-client.ts';
import {
  closedError,
  downError,
  type EngineLoss,
  type EngineState,
  lostError,
  type ReadyEngine,
  rejectionOf,
} from './engine-state.ts';
import type { ToolCallFormat } from './grammar/answer-grammar.ts';
import type {
  EngineEmbeddingRequest,
  EngineEvent,
  EngineGenerationRequest,
  TokenizerRequest,
  WorkForEngine,
} from './messages.ts';

export class EngineAccess {
  readonly #requests: PendingRequests;
  readonly #waitingForReady = new Set<Settle<void>>();
  #state: EngineState = { phase: 'idle' };
  /** As it was when it was ready last. */
  #known: ReadyEngine | undefined;

  /** `send`: to the engine that runs now; called only while it is ready. */
  constructor(send: (message: WorkForEngine) => void) {
    this.#requests = new PendingRequests(send);
  }

  get state(): EngineState {
    return this.#state;
  }

  /** Whether a step is due: the engine rests while all of its requests are paused. */
  get hasWork(): boolean {
    return this.#requests.hasWork;
  }

  /** The engine is otherwise now. `loss`: what it had is lost. A sink that is called for it may add requests at once. */
  enter(state: EngineState, loss?: EngineLoss): void {
    this.#state = state;
    if (state.phase === 'ready') {
      this.#known = state;
      this.#requests.sendAll();
      this.#settleWaiting(({ resolve }) => resolve());
      return;
    }
    if (loss !== undefined) this.#requests.failSent(lostError(loss));
    if (state.phase === 'restarting' && !state.waitWorthwhile) this.#failAll(downError());
    if (state.phase === 'closed') this.#failAll(closedError());
    // What is wrong with the file is for who starts it, not for clients.
    if (state.phase === 'failed') this.#failAll(downError(), state.error);
  }

  /** What a step of the engine brought. */
  deliver(events: readonly EngineEvent[]): void {
    for (const event of events) this.#requests.deliver(event);
    if (this.#state.phase === 'ready') this.#requests.sendTokenizerRequest();
  }

  /** Settles when the model has been loaded, or cannot be. */
  async whenReady(signal: AbortSignal): Promise<void> {
    const rejection = rejectionOf(this.#state);
    if (rejection !== undefined) throw rejection;
    if (this.#state.phase !== 'ready') await this.#waitForReady(signal);
  }

  /** How the model writes tool calls; known once it has been loaded. Undefined: it generates no text. */
  async toolCallFormat(signal: AbortSignal): Promise<ToolCallFormat | undefined> {
    if (this.#known === undefined) {
      try {
        await this.whenReady(signal);
      } catch (thrown) {
        // Why a model cannot be loaded is for the operator, not for clients.
        throw signal.aborted ? thrown : (rejectionOf(this.#state) ?? thrown);
      }
    }
    return this.#known?.toolCallFormat;
  }

  /** The request is sent to the engine now, or when it is ready. The sink is not called before this returns. */
  generate(generation: Omit<EngineGenerationRequest, 'id'>, sink: EngineGenerationSink): RequestHandle {
    return this.#submit(sink, () => this.#requests.addGeneration(generation, sink));
  }

  embed(embedding: Omit<EngineEmbeddingRequest, 'id'>, sink: EmbeddingSink): RequestHandle {
    return this.#submit(sink, () => this.#requests.addEmbedding(embedding, sink));
  }

  tokenize(request: TokenizerRequest, sink: TokenizerSink): RequestHandle {
    const queueError = this.#requests.tokenizeQueueError(request);
    return this.#submit(sink, () => this.#requests.addTokenizerRequest(request, sink), queueError);
  }

  #submit(sink: EngineSink, add: () => number, queueError?: ServingError): RequestHandle {
    const rejection = rejectionOf(this.#state) ?? queueError;
    if (rejection !== undefined) {
      queueMicrotask(() => sink.failed(rejection));
      return { abort() {}, pause() {}, resume() {} };
    }
    const id = add();
    if (this.#state.phase === 'ready') this.#requests.send(id);
    return {
      abort: () => this.#requests.abort(id),
      pause: () => this.#requests.pause(id),
      resume: () => this.#requests.resume(id),
    };
  }

  #waitForReady(signal: AbortSignal): Promise<void> {
    return abortable(signal, (settle) => {
      this.#waitingForReady.add(settle);
      return () => this.#waitingForReady.delete(settle);
    });
  }

  #settleWaiting(how: (settle: Settle<void>) => void): void {
    const waiting = [...this.#waitingForReady];
    this.#waitingForReady.clear();
    for (const settle of waiting) how(settle);
  }

  #failAll(error: ServingError, forWaiting: ServingError = error): void {
    this.#settleWaiting(({ reject }) => reject(forWaiting));
    this.#requests.failAll(error);
  }
}
