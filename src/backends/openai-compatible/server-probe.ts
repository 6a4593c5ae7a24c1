/**
 * Finds out which server it is, whether it is healthy and serves the model, how many requests it runs, and what its chat template
 * supports. Loads nothing.
 */
import type { Ability, TargetStatus } from '../../core/backend.ts';
import type { Milliseconds } from '../../core/clock.ts';
import { toServingError } from '../../core/errors.ts';
import { FEATURES, unsupported } from '../../core/features.ts';
import type { GenerationRequest } from '../../core/generation.ts';
import { failureOfStatus, probeFailure } from '../../upstream/failures.ts';
import { asArray, asCount, asObject, asText, type UntypedObject } from '../../upstream/untyped.ts';
import type { JsonResponse, Upstream } from '../../upstream/upstream.ts';
import type { Dialect, Flavor } from './dialect.ts';
import { errorObject } from './errors.ts';
import { type Listing, type ProbeResult, saysNothing } from './listing.ts';

interface ProbeOptions {
  readonly upstream: Upstream;
  readonly model: string;
  readonly dialect: Dialect;
  /** From the configuration. Absent: as the server reports. */
  readonly contextSize: number | undefined;
  /** A model that is not listed is missing; otherwise requests find out. */
  readonly mustBeListed: boolean;
  readonly listing: Listing;
  readonly now: Milliseconds;
  readonly wallNowMs: number;
}

export async function probeServer(probe: ProbeOptions, signal: AbortSignal): Promise<ProbeResult> {
  const { upstream, dialect, listing, now } = probe;
  const [models, health] = await Promise.all([
    listing.isPaused(now) ? undefined : upstream.json({ method: 'GET', path: '/v1/models', signal }),
    dialect.healthPath && upstream.json({ method: 'GET', path: dialect.healthPath, signal }),
  ]);
  // Behind an ingress of its own, such as Ray Serve LLM's, an engine's route for it may be missing: then the list tells.
  if (health !== undefined && health.status !== 200 && health.status !== 404 && !saysNothing(health.status)) {
    const state = health.status === 503 ? dialect.unhealthyState : 'failed';
    const detail = probeFailure('/health', health.status);
    return { status: { state, loaded: false, detail } };
  }
  // Of an engine that has neither, nothing is known to be there.
  if (models === undefined) return listing.known ?? { status: unlisted(probe) };
  if (health?.status === 404 && models.status === 404 && !isServeWithoutApplication(models)) {
    const detail = 'The server has neither /health nor /v1/models. Check the target’s url.';
    return { status: { state: 'failed', loaded: false, detail } };
  }
  if (saysNothing(models.status)) return listing.limited(models, probe) ?? { status: unlisted(probe) };
  const result = listed(probe, models);
  const isFailing =
    models.status >= 500 && result.status.state === 'failed' && failureOfStatus(models.status) !== 'loop';
  return isFailing ? listing.failed(result) : listing.told(result);
}

function unlisted({ contextSize }: Pick<ProbeOptions, 'contextSize'>): TargetStatus {
  return { state: 'ready', loaded: true, ...(contextSize !== undefined && { contextSize }) };
}

/** The status of a server that could not be asked. */
export function unreachableStatus(thrown: unknown, signal: AbortSignal): TargetStatus {
  const detail = signal.aborted ? 'The server does not respond.' : toServingError(thrown).message;
  return { state: 'unreachable', loaded: false, detail };
}

function listed(probe: ProbeOptions, answer: JsonResponse): ProbeResult {
  const { status, body } = answer;
  const { model, dialect, contextSize, mustBeListed } = probe;
  if (isServeWithoutApplication(answer)) {
    const detail =
      'Ray Serve runs there, but no application at this address: it is being deployed, or was deleted.';
    return { status: { state: 'failed', loaded: false, detail } };
  }
  // A server may have no such list.
  if (status === 404) return { status: unlisted(probe) };
  if (status !== 200) {
    const hint = status === 401 || status === 403 ? ' Set the target’s api_key.' : '';
    const detail = `${probeFailure('/v1/models', status)}${hint}`;
    return { status: { state: isLoading(answer) ? 'loading' : 'failed', loaded: false, detail } };
  }
  const entries = asArray(asObject(body).data).map(asObject);
  const named = entries.find((entry) => entry.id === model || asArray(entry.aliases).includes(model));
  const entry = named ?? (dialect.ignoresModelName && entries.length === 1 ? entries[0] : undefined);
  if (entry === undefined) {
    const names = entries.map((other) => asText(other.id)).join(', ');
    if (!mustBeListed) return { status: unlisted(probe) };
    const detail = `The server does not serve the model ${model}. It serves: ${names}.`;
    return { status: { state: 'not_found', loaded: false, detail } };
  }
  const reported = contextSizeOf(entry);
  const abilities = abilitiesOf(dialect, asObject(body));
  const vocabularySize = asCount(asObject(entry.meta).n_vocab);
  return {
    status: {
      state: 'ready',
      loaded: true,
      ...(reported !== undefined && { contextSize: reported }),
      ...(contextSize !== undefined && { contextSize }),
      ...(abilities !== undefined && { abilities }),
    },
    ...(vocabularySize !== undefined && { vocabularySize }),
    identity: JSON.stringify([entry.id, entry.meta]),
  };
}

/** Behind a proxy without a health route, llama-server and others say so with their 503. */
function isLoading({ status, body }: JsonResponse): boolean {
  return status === 503 && /\bloading\b/i.test(asText(errorObject(body).message) ?? '');
}

/** Its proxy then names the route that lists applications. */
function isServeWithoutApplication({ status, text }: JsonResponse): boolean {
  return status === 404 && text !== undefined && text.includes('/-/routes');
}

/** A model whose chat template has no tools cannot use them. */
export function withProps(status: TargetStatus, { slots, supportsTools }: ServerProps): TargetStatus {
  const abilities = status.abilities?.filter((ability) => ability !== 'tools' || supportsTools !== false);
  return { ...status, ...(slots !== undefined && { slots }), ...(abilities && { abilities }) };
}

/** vLLM and llama-server accept tools for every model, and do not report which models embed; llama-server reports which read images. */
function abilitiesOf({ flavor }: Dialect, { models }: UntypedObject): readonly Ability[] | undefined {
  if (flavor === 'generic') return undefined;
  const sees = asArray(models).some((one) => asArray(asObject(one).capabilities).includes('multimodal'));
  return sees ? ['generate', 'tools', 'see'] : ['generate', 'tools'];
}

function contextSizeOf(entry: UntypedObject): number | undefined {
  return asCount(entry.max_model_len) ?? asCount(asObject(entry.meta).n_ctx);
}

interface ServerProps {
  readonly slots?: number;
  /** False: tools do not reach the model, or its calls are not read. Absent: unknown. */
  readonly supportsTools?: boolean;
  /** False: earlier calls and tool results do not reach the model. */
  readonly supportsToolCalls?: boolean;
}

/** Asked once for each model that is found there. */
export class PropsCache {
  #of: string | undefined;
  current: ServerProps = {};

  /** `identity`: of the model that is served there now. */
  async learn(
    {
      upstream,
      path,
      identity,
    }: { readonly upstream: Upstream; readonly path: string; readonly identity: string },
    signal: AbortSignal,
  ): Promise<ServerProps> {
    if (identity === this.#of) return this.current;
    const { status, body } = await upstream.json({ method: 'GET', path, signal });
    this.current = status === 200 ? readProps(body) : {};
    // A server that failed may answer later; one without the route will not.
    this.#of = status < 500 ? identity : undefined;
    return this.current;
  }

  /** The next server at this address may be another one. */
  forget(): void {
    this.#of = undefined;
    this.current = {};
  }
}

function readProps(body: unknown): ServerProps {
  const { total_slots, chat_template_caps } = asObject(body);
  const { supports_tools: tools, supports_tool_calls: calls } = asObject(chat_template_caps);
  const slots = asCount(total_slots);
  return {
    ...(slots !== undefined && slots > 0 && { slots }),
    ...(typeof tools === 'boolean' && { supportsTools: tools && calls !== false }),
    ...(typeof calls === 'boolean' && { supportsToolCalls: calls }),
  };
}

const ADVICE = 'Remove it, use another model, or start its server with a chat template that has tools.';

/** The server silently drops what its template cannot express. Tools that may not be called make no difference. */
export function rejectUnsupportedByTemplate(
  request: GenerationRequest,
  { supportsTools, supportsToolCalls }: ServerProps,
): void {
  if (supportsTools === false && request.tools !== undefined && request.tools.choice !== 'none')
    throw unsupported('tools', 'this model, whose chat template has no tools', { advice: ADVICE });
  const called = FEATURES['tool-messages'].askedBy(request);
  if (supportsToolCalls === false && called !== undefined)
    throw unsupported(called, 'this model, whose chat template has no tool calls', { advice: ADVICE });
}

/** By what the server reports of itself. Undefined if it cannot, for example behind a proxy while it is down. */
export async function detectFlavor(upstream: Upstream, signal: AbortSignal): Promise<Flavor | undefined> {
  const models = await upstream.json({ method: 'GET', path: '/v1/models', signal });
  const owners = asArray(asObject(models.body).data).map((entry) => asText(asObject(entry).owned_by));
  if (models.headers.server === 'llama.cpp' || owners.includes('llamacpp')) return 'llama-server';
  if (owners.includes('vllm')) return 'vllm';
  if (models.status >= 500 || saysNothing(models.status)) return undefined;
  const version = await upstream.json({ method: 'GET', path: '/version', signal });
  if (isVllmVersion(version)) return 'vllm';
  const props = await upstream.json({ method: 'GET', path: '/props', signal });
  const isLlamaServer = props.status === 200 && 'default_generation_settings' in asObject(props.body);
  return isLlamaServer ? 'llama-server' : 'generic';
}

/** Other servers have a `/version` too; vLLM runs on uvicorn. */
function isVllmVersion({ status, headers, body }: JsonResponse): boolean {
  return status === 200 && headers.server === 'uvicorn' && asText(asObject(body).version) !== undefined;
}

/** How long a request's answer `no such model` makes the list count. */
const MISSING_HOLDS_MS = 30_000;

/**
 * Whether the list decides that the model is missing. Servers of unknown kind may serve models that they do not list, such as services
 * with many: they are asked for it, and once a request has found that it is missing, the list is believed for a while.
 */
export class MissingModel {
  #missingAt: Milliseconds | undefined;

  noteMissing(now: Milliseconds): void {
    this.#missingAt = now;
  }

  noteServed(): void {
    this.#missingAt = undefined;
  }

  isDecidedByList(
    setting: 'auto' | 'yes' | 'no' = 'auto',
    { listsAllModels }: Dialect,
    now: Milliseconds,
  ): boolean {
    if (setting !== 'auto') return setting === 'yes';
    return listsAllModels || (this.#missingAt !== undefined && now - this.#missingAt < MISSING_HOLDS_MS);
  }
}
