/**
 * Finds out whether the server answers, has the model, and holds it in memory: `/api/tags` and `/api/ps`, neither of
 * which loads anything, and which release it is. Owns the time of the last answer, and what that told of the model.
 */
import type { TargetStatus } from '../../core/backend.ts';
import type { Clock, Milliseconds } from '../../core/clock.ts';
import { type ServingError, toServingError } from '../../core/errors.ts';
import type { ModelDetails } from '../../core/model-details.ts';
import { asArray, asCount, asObject, asText, type Loose } from '../../upstream/lenient.ts';
import type { JsonAnswer, Upstream } from '../../upstream/upstream.ts';
import { detailsOf } from './model-details.ts';
import { sameModel } from './model-name.ts';
import { type ModelPresence, nameOf } from './model-presence.ts';
import { parseRelease, type ServerRelease } from './server-release.ts';

export interface ProbeOptions {
  readonly upstream: Upstream;
  readonly clock: Clock;
  readonly model: string;
  readonly contextSize: number | undefined;
  readonly mayUnload: boolean;
  readonly presence: ModelPresence;
  /** A warm-up of ours is under way. */
  readonly isLoading: () => boolean;
}

type Attempt = { readonly answer: JsonAnswer } | { readonly error: ServingError };

/** A server that answered so recently and is silent now is taken to be busy with loading. */
const RECENT_ANSWER_MS = 5000;

export class ModelProbe {
  readonly #options: ProbeOptions;
  #answeredAt: Milliseconds | undefined;
  #digest: string | undefined;
  #details: ModelDetails | undefined;
  #release: ServerRelease;
  /** Of the runner that held the model last. */
  #runnerContextSize: number | undefined;

  constructor(options: ProbeOptions) {
    this.#options = options;
  }

  /** Another one under the same name is another model. */
  get digest(): string | undefined {
    return this.#digest;
  }

  /** As the last list had them. */
  get details(): ModelDetails | undefined {
    return this.#details;
  }

  /** Undefined before the server has told it. */
  get release(): ServerRelease {
    return this.#release;
  }

  async status(signal: AbortSignal): Promise<TargetStatus> {
    const { model, clock, presence } = this.#options;
    const askedAt = clock.now();
    const [tags, running, version] = await Promise.all([
      this.#get('/api/tags', signal),
      this.#get('/api/ps', signal),
      this.#get('/api/version', signal),
    ]);
    if ('error' in tags) return this.#silent(tags.error, signal);
    if ('answer' in version) this.#release = parseRelease(asText(asObject(version.answer.body).version));
    if (tags.answer.status !== 200) return refused('/api/tags', tags.answer);
    const installed = entriesOf(tags.answer).find((entry) => sameModel(nameOf(entry), model));
    const digest = asText(installed?.digest);
    if (this.#digest !== undefined && digest !== this.#digest) presence.forget();
    this.#digest = digest;
    this.#details = installed && detailsOf(installed);
    if (installed === undefined || presence.isMissing(clock.now())) {
      const detail = `The server does not have the model ${model}: ollama pull ${model}`;
      return { state: 'not_found', loaded: false, detail };
    }
    if ('error' in running) return this.#silent(running.error, signal);
    if (running.answer.status !== 200) return refused('/api/ps', running.answer);
    return this.#loadedOrNot(
      presence.runnerIn({ model, installed, running: entriesOf(running.answer), askedAt }),
    );
  }

  #loadedOrNot(runner: Loose | undefined): TargetStatus {
    const { contextSize, mayUnload, isLoading } = this.#options;
    if (runner !== undefined)
      this.#runnerContextSize = asCount(runner.context_length) ?? this.#runnerContextSize;
    const size = contextSize ?? (runner && this.#runnerContextSize);
    const known = size === undefined || size === 0 ? {} : { contextSize: size };
    if (runner !== undefined) return { state: 'ready', loaded: true, mayUnload, ...known };
    if (isLoading()) return { state: 'loading', loaded: false, ...known };
    return {
      state: 'unloaded',
      loaded: false,
      mayUnload,
      ...known,
      detail: 'The server does not hold the model in memory.',
    };
  }

  #silent(error: ServingError, signal: AbortSignal): TargetStatus {
    const sinceAnswerMs =
      this.#answeredAt === undefined
        ? Number.POSITIVE_INFINITY
        : this.#options.clock.now() - this.#answeredAt;
    if (signal.aborted && sinceAnswerMs < RECENT_ANSWER_MS) {
      return {
        state: 'loading',
        loaded: false,
        detail: 'The server is busy, as it is while it loads a model.',
      };
    }
    this.#options.presence.forget();
    return {
      state: 'unreachable',
      loaded: false,
      detail: signal.aborted ? 'The server does not answer.' : error.message,
    };
  }

  async #get(path: string, signal: AbortSignal): Promise<Attempt> {
    try {
      const answer = await this.#options.upstream.json({ method: 'GET', path, signal });
      this.#answeredAt = this.#options.clock.now();
      return { answer };
    } catch (thrown) {
      return { error: toServingError(thrown) };
    }
  }
}

function entriesOf({ body }: JsonAnswer): readonly Loose[] {
  return asArray(asObject(body).models).map(asObject);
}

function refused(path: string, { status }: JsonAnswer): TargetStatus {
  return { state: 'failed', loaded: false, detail: `The server answers ${path} with ${status}.` };
}
