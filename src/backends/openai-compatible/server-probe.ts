/** Finds out whether a server is healthy and serves the model, as its dialect tells it. Loads nothing, keeps nothing. */
import type { Ability, TargetStatus } from '../../core/backend.ts';
import { toServingError } from '../../core/errors.ts';
import { asArray, asCount, asObject, asText, type Loose } from '../../upstream/lenient.ts';
import type { JsonAnswer, Upstream } from '../../upstream/upstream.ts';
import type { Dialect } from './dialect.ts';
import type { ServerProps } from './server-props.ts';

export interface ServerProbe {
  readonly upstream: Upstream;
  readonly model: string;
  readonly dialect: Dialect;
  /** From the configuration; else what the server tells. */
  readonly contextSize: number | undefined;
}

export interface Probed {
  readonly status: TargetStatus;
  /** How many tokens the model knows, where the server tells it. */
  readonly vocabularySize?: number;
  /** Of the model as it is served now; absent where it is not. */
  readonly identity?: string;
}

export async function probeServer(probe: ServerProbe, signal: AbortSignal): Promise<Probed> {
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
export function unreachable(thrown: unknown, signal: AbortSignal): TargetStatus {
  const detail = signal.aborted ? 'The server does not answer.' : toServingError(thrown).message;
  return { state: 'unreachable', loaded: false, detail };
}

function listed({ model, dialect, contextSize }: ServerProbe, { status, body }: JsonAnswer): Probed {
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
function abilitiesOf({ flavor }: Dialect, { models }: Loose): readonly Ability[] | undefined {
  if (flavor === 'generic') return undefined;
  const sees = asArray(models).some((one) => asArray(asObject(one).capabilities).includes('multimodal'));
  return sees ? ['generate', 'tools', 'see'] : ['generate', 'tools'];
}

function contextSizeOf(entry: Loose): number | undefined {
  return asCount(entry.max_model_len) ?? asCount(asObject(entry.meta).n_ctx);
}
