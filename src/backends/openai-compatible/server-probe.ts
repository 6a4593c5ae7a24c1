/** Finds out whether a server is healthy and serves the model, as its dialect tells it. Loads nothing, keeps nothing. */
import type { TargetStatus } from '../../core/backend.ts';
import { toServingError } from '../../core/errors.ts';
import { asArray, asCount, asObject, asText, type Loose } from '../../upstream/lenient.ts';
import type { JsonAnswer, Upstream } from '../../upstream/upstream.ts';
import type { Dialect } from './dialect.ts';

export interface ServerProbe {
  readonly upstream: Upstream;
  readonly model: string;
  readonly dialect: Dialect;
  /** From the configuration; else what the server tells. */
  readonly contextSize: number | undefined;
}

export async function probeServer(probe: ServerProbe, signal: AbortSignal): Promise<TargetStatus> {
  const { upstream, dialect } = probe;
  const [models, health] = await Promise.all([
    upstream.json({ method: 'GET', path: '/v1/models', signal }),
    dialect.healthPath && upstream.json({ method: 'GET', path: dialect.healthPath, signal }),
  ]);
  if (health !== undefined && health.status !== 200) {
    const state = health.status === 503 ? dialect.unhealthy : 'failed';
    return { state, loaded: false, detail: `The server answers /health with ${health.status}.` };
  }
  return listed(probe, models);
}

/** The status of a server that could not be asked. */
export function unreachable(thrown: unknown, signal: AbortSignal): TargetStatus {
  const detail = signal.aborted ? 'The server does not answer.' : toServingError(thrown).message;
  return { state: 'unreachable', loaded: false, detail };
}

function listed({ model, dialect, contextSize }: ServerProbe, { status, body }: JsonAnswer): TargetStatus {
  const configured = contextSize === undefined ? {} : { contextSize };
  // A server may have no such list and serve all the same.
  if (status === 404) return { state: 'ready', loaded: true, ...configured };
  if (status !== 200) {
    const hint = status === 401 || status === 403 ? ' Set the target’s api_key.' : '';
    return { state: 'failed', loaded: false, detail: `The server answers /v1/models with ${status}.${hint}` };
  }
  const entries = asArray(asObject(body).data).map(asObject);
  const named = entries.find((entry) => entry.id === model || asArray(entry.aliases).includes(model));
  const entry = named ?? (dialect.ignoresModelName && entries.length === 1 ? entries[0] : undefined);
  if (entry === undefined) {
    const names = entries.map((other) => asText(other.id)).join(', ');
    return {
      state: 'not_found',
      loaded: false,
      detail: `The server does not serve the model ${model}, but: ${names}.`,
    };
  }
  const told = contextSizeOf(entry);
  return {
    state: 'ready',
    loaded: true,
    ...(told === undefined ? {} : { contextSize: told }),
    ...configured,
  };
}

function contextSizeOf(entry: Loose): number | undefined {
  return asCount(entry.max_model_len) ?? asCount(asObject(entry.meta).n_ctx);
}
