/**
 * The smallest backend that keeps the port's promises: it answers with the words of the prompt, again and again. A template
 * to copy: docs/how-to/add-a-backend.md. The contract suite runs against it as it stands (test/contract/echo-example.test.ts).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Type } from 'typebox';
import { type CommonTarget, defineBackend } from '../../src/backends/backend-definition.ts';
import type { Backend, Generation, GenerationSink, TargetStatus } from '../../src/core/backend.ts';
import { ServingError } from '../../src/core/errors.ts';
import { type Feature, refuseUnsupported } from '../../src/core/features.ts';
import type { GenerationInput, GenerationRequest } from '../../src/core/generation.ts';
import { RunningGeneration } from '../../src/core/sink.ts';
import { StopMatcher } from '../../src/core/stop-matcher.ts';

interface EchoTarget extends Pick<CommonTarget, 'model'> {
  readonly context_size: number;
  readonly token_delay_ms: number;
}

/** One line in src/backends/catalog.ts makes it `backend: echo` in the configuration. */
export const echo = defineBackend({
  name: 'echo',
  summary: 'Answers with the words of the prompt.',
  keys: {
    context_size: Type.Integer({
      minimum: 2,
      default: 4096,
      description: 'Words of prompt and answer together.',
    }),
    token_delay_ms: Type.Integer({ minimum: 0, default: 1, description: 'Milliseconds between two words.' }),
  },
  defaultSlots: 4,
  embedded: false,
  create: (target) => new EchoBackend(target),
});

/** What it can do beyond plain text: nothing. A request for anything else is rejected, not answered without it. */
const SUPPORTED: readonly Feature[] = [];

export class EchoBackend implements Backend {
  readonly #target: EchoTarget;
  readonly #running = new Set<Generation>();
  #isClosed = false;

  constructor(target: EchoTarget) {
    this.#target = target;
  }

  generate(request: GenerationRequest, sink: GenerationSink): Generation {
    // Passes events on up to the first end, turns what is thrown into `fail`, and settles `released`.
    const generation = new RunningGeneration(sink, (running) => this.#answer(request, running));
    this.#running.add(generation);
    void generation.released.then(() => this.#running.delete(generation));
    return generation;
  }

  /** Cheap, and never throws: a backend that is down has a status too. */
  async probe(): Promise<TargetStatus> {
    if (this.#isClosed) return { state: 'unreachable', loaded: false, detail: 'The backend was closed.' };
    return { state: 'ready', loaded: true, contextSize: this.#target.context_size };
  }

  /** Nothing to load. */
  async warmUp(): Promise<void> {}

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const generation of this.#running) generation.cancel(new ServingError('backend_error'));
  }

  async #answer(request: GenerationRequest, generation: RunningGeneration): Promise<void> {
    refuseUnsupported(request, { backend: 'echo', supports: SUPPORTED });
    // Before the first event it waits at least once: nothing comes before `generate` has returned.
    await this.#wait(generation);
    if (this.#isClosed) throw new ServingError('no_backend_available', { retryAfterSeconds: 1 });
    const words = wordsOf(request.input);
    const room = this.#target.context_size - words.length;
    if (room <= 0)
      throw new ServingError('context_length_exceeded', {
        message: `The prompt has ${words.length} words, but the context holds ${this.#target.context_size}.`,
      });
    const limit = Math.min(request.limits.maxTokens ?? room, room);
    const stops = new StopMatcher(request.limits.stop);
    generation.event({ type: 'start', promptTokens: words.length });

    const usage = { promptTokens: words.length, completionTokens: 0, cachedTokens: 0 };
    const say = (text: string) => {
      if (text !== '') generation.event({ type: 'text', text });
    };
    while (usage.completionTokens < limit) {
      const word = words[usage.completionTokens % words.length] ?? '';
      const { text, matched } = stops.push(usage.completionTokens === 0 ? word : ` ${word}`);
      usage.completionTokens += 1;
      say(text);
      if (matched !== undefined) {
        generation.event({ type: 'finish', reason: 'stop', matchedStop: matched, usage });
        return;
      }
      await this.#wait(generation);
    }
    say(stops.flush());
    // Exactly one end, and nothing after it.
    generation.event({ type: 'finish', reason: 'length', usage });
  }

  /** The pace of a word; longer while the reader is behind. Throws as soon as the generation is cancelled. */
  async #wait(generation: RunningGeneration): Promise<void> {
    await sleep(this.#target.token_delay_ms, undefined, { signal: generation.signal });
    if (generation.isPaused) await generation.resumed();
  }
}

function wordsOf(input: GenerationInput): readonly string[] {
  if (input.kind === 'tokens')
    throw new ServingError('unsupported_parameter', {
      message: 'The echo backend has no token ids.',
      param: 'prompt',
    });
  const text = input.kind === 'text' ? input.prompt : input.messages.map(({ content }) => content).join(' ');
  return text.split(/\s+/).filter((word) => word !== '');
}
