/**
 * Finds out whether the server responds, has the model, and holds it in memory: by `/api/tags` and `/api/ps`, neither of which
 * loads anything, and by how requests ended. Owns what was last learned of the server, its release and the model.
 */
import { knownDetails, type ModelDetails, type TargetStatus } from '../../core/backend.ts';
import type { Clock, Milliseconds } from '../../core/clock.ts';
import { type ServingError, toServingError } from '../../core/errors.ts';
import { probeFailure } from '../../upstream/failures.ts';
import { asArray, asCount, asObject, asText, type UntypedObject } from '../../upstream/untyped.ts';
import type { JsonResponse, Upstream } from '../../upstream/upstream.ts';

interface ProbeOptions {
  readonly upstream: Upstream;
  readonly clock: Clock;
  readonly model: string;
  readonly contextSize: number | undefined;
  readonly mayUnload: boolean;
  readonly presence: ModelPresence;
  /** Our own warm-up is under way. */
  readonly isLoading: () => boolean;
}

type ProbeResponse = { readonly answer: JsonResponse } | { readonly error: ServingError };

/** A server that responded so recently and does not now is assumed to be loading a model. */
const RECENT_RESPONSE_MS = 5000;

export class ModelProbe {
  readonly #options: ProbeOptions;
  #respondedAt: Milliseconds | undefined;
  #digest: string | undefined;
  #details: ModelDetails | undefined;
  #release: ServerVersion;
  /** Of the last runner that held the model. */
  #runnerContextSize: number | undefined;

  constructor(options: ProbeOptions) {
    this.#options = options;
  }

  /** Another digest under the same name is another model. */
  get digest(): string | undefined {
    return this.#digest;
  }

  /** By the last list. */
  get details(): ModelDetails | undefined {
    return this.#details;
  }

  /** Undefined until the server has sent it. */
  get version(): ServerVersion {
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
    if ('error' in tags) return this.#noResponse(tags.error, signal);
    if ('answer' in version) this.#release = parseVersion(asText(asObject(version.answer.body).version));
    if (tags.answer.status !== 200) return failedStatus('/api/tags', tags.answer);
    const installed = entriesOf(tags.answer).find((entry) => sameModel(nameOf(entry), model));
    const digest = asText(installed?.digest);
    if (this.#digest !== undefined && digest !== this.#digest) presence.forget();
    this.#digest = digest;
    this.#details = installed && detailsOf(installed);
    if (installed === undefined || presence.isMissing(clock.now())) {
      const detail = `The server does not have the model ${model}: ollama pull ${model}`;
      return { state: 'not_found', loaded: false, detail };
    }
    if ('error' in running) return this.#noResponse(running.error, signal);
    if (running.answer.status !== 200) return failedStatus('/api/ps', running.answer);
    return this.#loadedOrNot(
      presence.findRunner({ model, installed, running: entriesOf(running.answer), askedAt }),
    );
  }

  #loadedOrNot(runner: UntypedObject | undefined): TargetStatus {
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
      detail: 'The model is not loaded.',
    };
  }

  #noResponse(error: ServingError, signal: AbortSignal): TargetStatus {
    const sinceResponseMs =
      this.#respondedAt === undefined
        ? Number.POSITIVE_INFINITY
        : this.#options.clock.now() - this.#respondedAt;
    if (signal.aborted && sinceResponseMs < RECENT_RESPONSE_MS) {
      return {
        state: 'loading',
        loaded: false,
        detail: 'The server does not respond, probably because it is loading a model.',
      };
    }
    this.#options.presence.forget();
    return {
      state: 'unreachable',
      loaded: false,
      detail: signal.aborted ? 'The server does not respond.' : error.message,
    };
  }

  async #get(path: string, signal: AbortSignal): Promise<ProbeResponse> {
    try {
      const answer = await this.#options.upstream.json({ method: 'GET', path, signal });
      this.#respondedAt = this.#options.clock.now();
      return { answer };
    } catch (thrown) {
      return { error: toServingError(thrown) };
    }
  }
}

function entriesOf({ body }: JsonResponse): readonly UntypedObject[] {
  return asArray(asObject(body).models).map(asObject);
}

function failedStatus(path: string, { status }: JsonResponse): TargetStatus {
  return { state: 'failed', loaded: false, detail: probeFailure(path, status) };
}

/** How long a request's `not found` outweighs a list that has the model. */
const MISSING_HOLDS_MS = 30_000;

const WEIGHTS_FACTS = ['family', 'parameter_size', 'quantization_level'] as const;

interface RunningList {
  readonly model: string;
  /** The model's entry in the list of installed models. */
  readonly installed: UntypedObject;
  readonly running: readonly UntypedObject[];
  /** When the list was requested: a response that came later outweighs it. */
  readonly askedAt: Milliseconds;
}

/**
 * Whether the server has the model and holds it in memory: by its lists, and by how requests ended, which counts more. A runner
 * belongs to a file of weights and is listed under the name that started it: a second name of the same weights (`FROM llama3.2` in
 * a Modelfile) is served at once and never listed. Owns how requests ended last.
 */
export class ModelPresence {
  #respondedAt: Milliseconds | undefined;
  #missingAt: Milliseconds | undefined;
  #wasListed = false;
  /** Names that were listed when the model had responded but was not: one of them is its runner. */
  #otherNames: ReadonlySet<string> | undefined;

  /** A request was served, or the model was loaded. */
  noteAnswered(now: Milliseconds): void {
    this.#respondedAt = now;
    this.#otherNames = undefined;
    this.#missingAt = undefined;
  }

  /** A request failed because there is no such model. */
  noteMissing(now: Milliseconds): void {
    this.forget();
    this.#missingAt = now;
  }

  /** Another model, or another server, may have the name. */
  forget(): void {
    this.#respondedAt = undefined;
    this.#missingAt = undefined;
    this.#wasListed = false;
    this.#otherNames = undefined;
  }

  isMissing(now: Milliseconds): boolean {
    return this.#missingAt !== undefined && now - this.#missingAt < MISSING_HOLDS_MS;
  }

  /** The entry of the runner that holds the model, empty if only a response proves it; undefined: the model is not loaded. */
  findRunner(list: RunningList): UntypedObject | undefined {
    const own = list.running.find((entry) => sameModel(nameOf(entry), list.model));
    const wasListed = this.#wasListed;
    this.#wasListed = own !== undefined;
    if (own !== undefined || this.#respondedAt === undefined) return own;
    if (this.#respondedAt >= list.askedAt) return {};
    // It is no longer listed under its own name: what is listed now took its place.
    if (wasListed) this.#respondedAt = undefined;
    if (this.#respondedAt === undefined) return undefined;
    this.#otherNames ??= new Set(
      list.running.filter((entry) => mayShareWeights(entry, list.installed)).map(nameOf),
    );
    return list.running.find((entry) => this.#otherNames?.has(nameOf(entry)));
  }
}

function nameOf(entry: UntypedObject): string {
  return asText(entry.model) ?? asText(entry.name) ?? '';
}

/** Names of the same weights agree in the facts that the lists have of both. */
function mayShareWeights(entry: UntypedObject, other: UntypedObject): boolean {
  const [one, two] = [asObject(entry.details), asObject(other.details)];
  return WEIGHTS_FACTS.every((fact) => !asText(one[fact]) || !asText(two[fact]) || one[fact] === two[fact]);
}

/** From the model's entry in `/api/tags`. */
function detailsOf(installed: UntypedObject): ModelDetails {
  const details = asObject(installed.details);
  const families = asArray(details.families).flatMap((family) => asText(family) ?? []);
  return knownDetails({
    digest: asDigest(installed.digest),
    sizeBytes: asCount(installed.size),
    format: asText(details.format),
    family: asText(details.family),
    families: families.length === 0 ? undefined : families,
    parameterSize: asText(details.parameter_size),
    quantization: asText(details.quantization_level),
    trainedContextSize: asCount(details.context_length),
    embeddingLength: asCount(details.embedding_length),
  });
}

function asDigest(value: unknown): string | undefined {
  return /^(?:sha256:)?([0-9a-f]{64})$/.exec(asText(value) ?? '')?.[1];
}

/** As Ollama compares names: case, the default registry and the default tag make no difference. */
function sameModel(one: string, other: string): boolean {
  return normalize(one) === normalize(other);
}

function normalize(name: string): string {
  const lower = name
    .toLowerCase()
    .replace(/^registry\.ollama\.ai\//, '')
    .replace(/^library\//, '');
  const last = lower.slice(lower.lastIndexOf('/') + 1);
  return last.includes(':') ? lower : `${lower}:latest`;
}

/** From `/api/version`. Undefined: not sent, or 0.0.0, as of a server built from source without a version. */
type ServerVersion = { readonly major: number; readonly minor: number } | undefined;

function parseVersion(version: string | undefined): ServerVersion {
  const [, major, minor] = /^v?(\d+)\.(\d+)/.exec(version ?? '') ?? [];
  if (major === undefined || minor === undefined) return undefined;
  if (/^v?0\.0\.0\b/.test(version ?? '')) return undefined;
  return { major: Number(major), minor: Number(minor) };
}

/**
 * Whether a request may contain `shift`. Since 0.30 a runner is started with it or without it: a request that differs from the one
 * before, anybody's, makes the server reload the model. For an unknown release the field is omitted, which never causes a reload:
 * only the end of an answer that exceeds the context differs.
 */
export function supportsShift(version: ServerVersion): boolean {
  return isBefore(version, 30);
}

/** Whether the release has the sampler `mirostat`. Since 0.7 it silently ignores those options. */
export function supportsMirostat(version: ServerVersion): boolean {
  return isBefore(version, 7);
}

/** Before 0.`minor`; an unknown release is not. */
function isBefore(version: ServerVersion, minor: number): boolean {
  return version !== undefined && version.major === 0 && version.minor < minor;
}
