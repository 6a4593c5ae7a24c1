/** Finds out whether a server is healthy and serves the model, as its dialect tells it. Loads nothing, keeps nothing. */

import type { Ability, TargetStatus } from '../../core/backend.ts';
import { toServingError } from '../../core/errors.ts';
import { FEATURES, unsupported } from '../../core/features.ts';
import type { GenerationRequest } from '../../core/generation.ts';
import { asArray, asCount, asObject, asText, type UntypedObject } from '../../upstream/untyped.ts';
import type { JsonResponse, Upstream } from '../../upstream/upstream.ts';
import type { Dialect } from './dialect.ts';

interface ProbeOptions {
  readonly upstream: Upstream;
  readonly model: string;
  readonly dialect: Dialect;
  /** From the configuration; else what the server tells. */
  readonly contextSize: number | undefined;
}

interface ProbeResult {
  readonly status: TargetStatus;
  /** How many tokens the model knows, where the server tells it. */
  readonly vocabularySize?: number;
  /** Of the model as it is served now; absent where it is not. */
  readonly identity?: string;
}

export async function probeServer(probe: ProbeOptions, signal: AbortSignal): Promise<ProbeResult> {
  const { upstream, dialect } = probe;
  const [models, health] = await Promise.all([
    upstream.json({ method: 'GET', path: '/v1/models', signal }),
    dialect.healthPath && upstream.json({ method: 'GET', path: dialect.healthPath, signal }),
  ]);
  if (health !== undefined && health.status !== 200) {
    const state = health.status === 503 ? dialect.unhealthy : 'failed';
    const detail = `The server answers /health with ${health.status}.`;
    return { status: { state, loaded: false, detail } };
  }
  return listed(probe, models);
}

/** The status of a server that could not be asked. */
export function unreachableStatus(thrown: unknown, signal: AbortSignal): TargetStatus {
  const detail = signal.aborted ? 'The server does not answer.' : toServingError(thrown).message;
  return { state: 'unreachable', loaded: false, detail };
}

function listed({ model, dialect, contextSize }: ProbeOptions, { status, body }: JsonResponse): ProbeResult {
  const configured = contextSize === undefined ? {} : { contextSize };
  // A server may have no such list and serve all the same.
  if (status === 404) return { status: { state: 'ready', loaded: true, ...configured } };
  if (status !== 200) {
    const hint = status === 401 || status === 403 ? ' Set the target’s api_key.' : '';
    const detail = `The server answers /v1/models with ${status}.${hint}`;
    return { status: { state: 'failed', loaded: false, detail } };
  }
  const entries = asArray(asObject(body).data).map(asObject);
  const named = entries.find((entry) => entry.id === model || asArray(entry.aliases).includes(model));
  const entry = named ?? (dialect.ignoresModelName && entries.length === 1 ? entries[0] : undefined);
  if (entry === undefined) {
    const names = entries.map((other) => asText(other.id)).join(', ');
    const detail = `The server does not serve the model ${model}, but: ${names}.`;
    return { status: { state: 'not_found', loaded: false, detail } };
  }
  const told = contextSizeOf(entry);
  const abilities = abilitiesOf(dialect, asObject(body));
  const vocabularySize = asCount(asObject(entry.meta).n_vocab);
  return {
    status: {
      state: 'ready',
      loaded: true,
      ...(told !== undefined && { contextSize: told }),
      ...configured,
      ...(abilities !== undefined && { abilities }),
    },
    ...(vocabularySize !== undefined && { vocabularySize }),
    identity: JSON.stringify([entry.id, entry.meta]),
  };
}

/** A model whose template has no tools cannot use them. */
export function withProps(status: TargetStatus, { slots, takesTools }: ServerProps): TargetStatus {
  const abilities = status.abilities?.filter((ability) => ability !== 'tools' || takesTools !== false);
  return { ...status, ...(slots !== undefined && { slots }), ...(abilities && { abilities }) };
}

/** Servers of one's own take tools for every model, and do not tell which models embed; llama-server tells what sees. */
function abilitiesOf({ flavor }: Dialect, { models }: UntypedObject): readonly Ability[] | undefined {
  if (flavor === 'generic') return undefined;
  const sees = asArray(models).some((one) => asArray(asObject(one).capabilities).includes('multimodal'));
  return sees ? ['generate', 'tools', 'see'] : ['generate', 'tools'];
}

function contextSizeOf(entry: UntypedObject): number | undefined {
  return asCount(entry.max_model_len) ?? asCount(asObject(entry.meta).n_ctx);
}

/**
 * What a server tells of itself and its model beside the list of models: how many requests it runs at once, and what the chat
 * template can say. Asked once for each model that is found there. What a template has no words for is dropped by the
 * server without a word, so it is refused here.
 */

interface ServerProps {
  readonly slots?: number;
  /** False: tools do not reach the model, or its calls are not read. Absent: not known. */
  readonly takesTools?: boolean;
  /** False: calls made earlier, and what tools answered, do not reach the model. */
  readonly takesCalls?: boolean;
}

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
    // A server that failed to tell may do so later; one without the route will not.
    this.#of = status < 500 ? identity : undefined;
    return this.current;
  }

  /** What comes back under this address may be another server. */
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
    ...(typeof tools === 'boolean' && { takesTools: tools && calls !== false }),
    ...(typeof calls === 'boolean' && { takesCalls: calls }),
  };
}

const ADVICE = 'Remove it, use another model, or start its server with a chat template that has tools.';

/** Tools that may not be called change nothing where they are not told. */
export function rejectUnsupportedByTemplate(
  request: GenerationRequest,
  { takesTools, takesCalls }: ServerProps,
): void {
  if (takesTools === false && request.tools !== undefined && request.tools.choice !== 'none')
    throw unsupported('tools', 'this model, whose chat template has no tools', { advice: ADVICE });
  const called = FEATURES['tool-messages'].askedBy(request);
  if (takesCalls === false && called !== undefined)
    throw unsupported(called, 'this model, whose chat template has no calls of tools', { advice: ADVICE });
}
