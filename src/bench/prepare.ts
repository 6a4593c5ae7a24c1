/** What a run does before its first load: it finds out what answers at each address, and warms it up. */
import type { Clock } from '../core/clock.ts';
import type { BenchClient } from './client.ts';
import type { DatasetEntry } from './dataset.ts';
import { type HttpClient, httpClient } from './http.ts';
import { InspectionError, inspectServer, type ServerAccess, type ServerFacts } from './inspect-server.ts';
import type { Calibration } from './prompts.ts';
import type { BenchSettings } from './settings.ts';
import { BenchError, warmUp } from './warm-up.ts';

export interface PrepareOptions {
  /** Without a slash at the end, and without /v1. Users, or arrivals, are dealt to them in turn. */
  readonly addresses: readonly string[];
  readonly key: string | undefined;
  readonly settings: BenchSettings;
  readonly dataset: { readonly name: string; readonly entries: readonly DatasetEntry[] } | undefined;
  readonly clock: Pick<Clock, 'now'>;
  /** The user has seen enough. */
  readonly signal: AbortSignal;
  onServer(server: ServerFacts, model: string): void;
}

/** One of the servers that share the load. */
export interface ReadyServer {
  readonly address: string;
  readonly client: BenchClient;
}

export interface Prepared {
  /** Of the first; where others are called something else, its name has theirs too. */
  readonly server: ServerFacts;
  readonly model: string;
  /** As the first one counts. */
  readonly calibration: Calibration;
  readonly servers: readonly ReadyServer[];
  /** What a reader of the figures must know. */
  readonly notes: readonly string[];
}

/** The user ended the run before its first load. */
export class InterruptedError extends Error {}

/** Nothing answers at the address. */
export class UnreachableError extends Error {
  readonly address: string;
  /** Of the connection, or `timeout`. */
  readonly code: string;

  constructor(address: string, code: string) {
    super(`No server answers at ${address} (${code}).`);
    this.address = address;
    this.code = code;
  }
}

/** A way to each address; `close` when the run has ended. */
export interface Place {
  readonly address: string;
  readonly http: HttpClient;
}

export function placesOf({ addresses, settings }: PrepareOptions): readonly Place[] {
  return addresses.map((address) => ({
    address,
    http: httpClient(address, { insecure: settings.insecure }),
  }));
}

export async function prepare(places: readonly Place[], options: PrepareOptions): Promise<Prepared> {
  try {
    const found = [];
    for (const { address, http } of places) {
      const { key, settings, signal } = options;
      const access: ServerAccess = { http, key, headers: settings.headers, signal };
      found.push({ address, access, facts: await inspect(access, address, options) });
    }
    const [first] = found;
    if (first === undefined) throw new BenchError('There is no server to measure.');
    const model = options.settings.model ?? first.facts.models[0];
    if (model === undefined)
      throw new BenchError(`${first.address} (${first.facts.name}) lists no model. Name one with --model.`);
    for (const other of found) requireAlike(first, other, model);
    const names = new Set(found.map(({ facts }) => facts.name));
    const server = { ...first.facts, name: [...names].join(', ') };
    options.onServer(server, model);
    const prepared = await warmUpAll(found, { ...options, model });
    if (!options.signal.aborted) return { server, model, ...prepared };
  } catch (error) {
    // What is broken off fails in one way or another.
    if (!options.signal.aborted) throw error;
  }
  throw new InterruptedError('Interrupted before anything was measured.');
}

interface FoundServer {
  readonly address: string;
  readonly access: ServerAccess;
  readonly facts: ServerFacts;
}

/** One plan of requests is for all of them. */
function requireAlike(first: FoundServer, other: FoundServer, model: string): void {
  const { models, protocol } = other.facts;
  if (protocol !== first.facts.protocol)
    throw new BenchError(
      `${first.address} is best asked in ${first.facts.protocol}, ${other.address} in ${protocol}. Name one with --protocol.`,
    );
  if (models.length > 0 && first.facts.models.includes(model) && !models.includes(model))
    throw new BenchError(
      `${other.address} does not list the model ${model} of ${first.address}. Name one that all have with --model.`,
    );
}

async function inspect(
  access: ServerAccess,
  address: string,
  { settings }: PrepareOptions,
): Promise<ServerFacts> {
  const { protocol, model } = settings;
  try {
    const facts = await inspectServer(access);
    return protocol === 'auto' ? facts : { ...facts, protocol };
  } catch (error) {
    if (!(error instanceof InspectionError)) throw new UnreachableError(address, codeOf(error));
    if (protocol !== 'auto' && model !== undefined)
      return { name: 'a server', kind: 'other', protocol, models: [] };
    throw new BenchError(`${address} cannot be measured: ${error.message}`);
  }
}

function codeOf(error: unknown): string {
  const { code, message, name } = error as NodeJS.ErrnoException;
  if (name === 'TimeoutError' || code === 'ABORTED') return 'timeout';
  return code ?? message;
}

async function warmUpAll(
  found: readonly FoundServer[],
  { settings, dataset, clock, model }: PrepareOptions & { readonly model: string },
): Promise<Pick<Prepared, 'calibration' | 'servers' | 'notes'>> {
  const hasEstimatedLengths =
    settings.hasDatasetLengths &&
    dataset?.entries.some(({ outputTokens }) => outputTokens === undefined) === true;
  const warm = [];
  for (const { address, access, facts } of found) {
    const hasDataset = dataset !== undefined;
    const about = { access, server: facts, model, address, settings, clock };
    warm.push({ address, ...(await warmUp({ ...about, hasEstimatedLengths, hasDataset })) });
  }
  const [first] = warm;
  if (first === undefined) throw new BenchError('There is no server to measure.');
  return {
    calibration: first.calibration,
    servers: warm.map(({ address, client }) => ({ address, client })),
    notes: [...new Set(warm.flatMap(({ notes }) => notes))],
  };
}
