/**
 * How much a server has to do, as it reports: vLLM by `/metrics` and by a header of whole answers; llama-server by `/metrics`, if it
 * was started with it, else by `/slots`. A report that fails says nothing about the server's health. Owns which routes it has.
 * A vLLM with data-parallel ranks reports each of them; a target that is one rank (`data_parallel_rank`) has the load of that one.
 */
import type { GenerateOptions, LoadReport, TargetStatus } from '../../core/backend.ts';
import type { Clock, Milliseconds } from '../../core/clock.ts';
import { ServingError } from '../../core/errors.ts';
import { asArray, asObject, type ResponseHeaders } from '../../upstream/untyped.ts';
import type { Upstream } from '../../upstream/upstream.ts';
import type { Dialect } from './dialect.ts';

/** A report that takes longer is not worth the wait: the probe ends without it. */
const TIMEOUT_MS: Milliseconds = 500;
/** vLLM's metrics have about 60 kB for each engine. */
const MAX_BYTES = 4 * 1024 * 1024;
/** vLLM collects all of its metrics for each header that it is asked for. */
const ASK_INTERVAL_MS: Milliseconds = 100;
const ASK_HEADERS: readonly string[] = ['endpoint-load-metrics-format', 'TEXT'];

/** Names of one fact at different servers and releases; the first that is there counts. */
const METRICS = {
  running: ['vllm:num_requests_running', 'llamacpp:requests_processing'],
  waiting: ['vllm:num_requests_waiting', 'llamacpp:requests_deferred'],
  // vLLM renamed it in 0.10; builds of llama-server of 2025 had theirs.
  kvCacheUsed: ['vllm:kv_cache_usage_perc', 'vllm:gpu_cache_usage_perc', 'llamacpp:kv_cache_usage_ratio'],
} as const;

export class LoadReader {
  readonly #upstream: Upstream;
  readonly #clock: Clock;
  readonly #rank: number | undefined;
  /** The routes that the server does not have. */
  readonly #missing = new Set<string>();
  #askedAt: Milliseconds = Number.NEGATIVE_INFINITY;

  constructor({
    upstream,
    clock,
    rank,
  }: { readonly upstream: Upstream; readonly clock: Clock; readonly rank?: number | undefined }) {
    this.#upstream = upstream;
    this.#clock = clock;
    this.#rank = rank;
  }

  /** Never rejects; undefined where the server reports nothing, or not in time. */
  async read(
    { loadPaths }: Pick<Dialect, 'loadPaths'>,
    signal: AbortSignal,
  ): Promise<LoadReport | undefined> {
    if (loadPaths.every((path) => this.#missing.has(path))) return undefined;
    const reading = new AbortController();
    const abort = () => reading.abort(new ServingError('backend_error'));
    const timer = this.#clock.schedule(TIMEOUT_MS, abort);
    signal.addEventListener('abort', abort);
    try {
      for (const path of loadPaths) {
        const report = await this.#get(path, reading.signal);
        if (report !== undefined) return report;
      }
    } catch {
      // Unreachable, too slow or too long: the probe's other requests tell how the server is.
    } finally {
      timer.cancel();
      signal.removeEventListener('abort', abort);
    }
    return undefined;
  }

  /** Headers that ask for the load with a whole answer; undefined where it is not worth asking. They do not tell ranks apart. */
  headersToAsk({ reportsLoad }: Pick<Dialect, 'reportsLoad'>): readonly string[] | undefined {
    if (!reportsLoad || this.#rank !== undefined) return undefined;
    const now = this.#clock.now();
    if (now - this.#askedAt < ASK_INTERVAL_MS) return undefined;
    this.#askedAt = now;
    return ASK_HEADERS;
  }

  /** The next server at this address may be another one. */
  forget(): void {
    this.#missing.clear();
  }

  async #get(path: string, signal: AbortSignal): Promise<LoadReport | undefined> {
    if (this.#missing.has(path)) return undefined;
    const { status, text } = await this.#upstream.text({ method: 'GET', path, signal, maxBytes: MAX_BYTES });
    // Not started with it (501 of llama-server), or behind a proxy that hides it.
    if (status === 501 || (status >= 400 && status < 500)) this.#missing.add(path);
    if (status !== 200) return undefined;
    return path === '/slots' ? loadOfSlots(text) : loadOfMetrics(text, this.#rank);
  }
}

/** Targets with the same root are served by the same server. Health is checked there, so the API's prefix is part of each path. */
export function serverRoot(url: string): string {
  return url.replace(/\/(?:v1\/?)?$/, '');
}

export function withLoad(status: TargetStatus, load: LoadReport | undefined): TargetStatus {
  return load === undefined ? status : { ...status, load };
}

/** Passes on the load that came with a whole answer. */
export function noteLoad(headers: ResponseHeaders, { onLoad }: GenerateOptions): void {
  const load = onLoad && loadOfHeader(headers);
  if (load !== undefined) onLoad?.(load);
}

/**
 * From Prometheus' text format. Requests of several engines are summed; of their KV caches the fullest counts, for it is the first
 * that throws out what it has computed. With `rank`, those of one engine.
 */
export function loadOfMetrics(text: string, rank?: number): LoadReport | undefined {
  const samples = (names: readonly string[]) => valuesOf(firstFound(text, names), rank);
  return loadOf({
    running: sumOf(samples(METRICS.running)),
    waiting: sumOf(samples(METRICS.waiting)),
    kvCacheUsed: maxOf(samples(METRICS.kvCacheUsed)),
  });
}

/** From the list of llama-server's slots. It does not tell what waits for one. */
export function loadOfSlots(text: string): LoadReport | undefined {
  const slots = asArray(parsed(text)).map(asObject);
  const known = slots.filter(({ is_processing }) => typeof is_processing === 'boolean');
  if (known.length === 0) return undefined;
  return { running: known.filter(({ is_processing }) => is_processing).length };
}

/**
 * From the header `endpoint-load-metrics`: `TEXT named_metrics.num_requests_waiting=1.0, …`, or JSON behind `JSON`. vLLM's frontend in
 * Rust omits the first word. With several engines vLLM repeats each name as text, and as JSON has the last engine only.
 */
export function loadOfHeader({ 'endpoint-load-metrics': value }: ResponseHeaders): LoadReport | undefined {
  if (typeof value !== 'string') return undefined;
  const written = value.replace(/^(?:TEXT|JSON)\s+/i, '').trim();
  const metrics = written.startsWith('{')
    ? Object.entries(asObject(asObject(parsed(written)).named_metrics))
    : pairsOf(written);
  const read = (...names: readonly string[]) => {
    const found = names.map((name) => metrics.filter(([key]) => key === name).map(([, value]) => value));
    return (found.find((values) => values.length > 0) ?? []).filter((value) => typeof value === 'number');
  };
  return loadOf({
    running: sumOf(read('num_requests_running')),
    waiting: sumOf(read('num_requests_waiting')),
    kvCacheUsed: maxOf(read('kv_cache_usage_perc', 'gpu_cache_usage_perc')),
  });
}

function pairsOf(written: string): readonly (readonly [name: string, value: number])[] {
  const pairs = written.split(',').map((pair) => pair.split('='));
  return pairs.map(([name = '', value = '']) => [
    name.trim().replace(/^named_metrics\./, ''),
    numberOf(value),
  ]);
}

/** Only what is a plausible number; undefined where nothing is. */
function loadOf(found: { readonly [Fact in keyof LoadReport]: number | undefined }): LoadReport | undefined {
  const { running, waiting, kvCacheUsed } = found;
  const isCount = (value: number | undefined): value is number => value !== undefined && value >= 0;
  const report = {
    ...(isCount(running) && { running }),
    ...(isCount(waiting) && { waiting }),
    ...(isCount(kvCacheUsed) && kvCacheUsed <= 1 && { kvCacheUsed }),
  };
  return Object.keys(report).length === 0 ? undefined : report;
}

interface Sample {
  /** By its label; undefined: it has none. */
  readonly engine: number | undefined;
  readonly value: number;
}

/** The samples of the first of these metrics that has any. */
function firstFound(text: string, names: readonly string[]): readonly Sample[] {
  for (const name of names) {
    const samples = samplesOf(text, name);
    if (samples.length > 0) return samples;
  }
  return [];
}

/** Each line is `name value` or `name{label="…"} value`, and may end with a time. */
function samplesOf(text: string, name: string): readonly Sample[] {
  const samples: Sample[] = [];
  for (let at = text.indexOf(name); at !== -1; at = text.indexOf(name, at + name.length)) {
    const isLineStart = at === 0 || text[at - 1] === '\n';
    const after = text[at + name.length];
    if (!isLineStart || (after !== '{' && after !== ' ')) continue;
    const end = text.indexOf('\n', at);
    const line = text.slice(at + name.length, end === -1 ? undefined : end);
    const labelsEnd = line.lastIndexOf('}') + 1;
    const value = numberOf(line.slice(labelsEnd).trim().split(' ')[0] ?? '');
    if (!Number.isFinite(value)) continue;
    const engine = /[{,]engine="(\d+)"/.exec(line.slice(0, labelsEnd))?.[1];
    samples.push({ engine: engine === undefined ? undefined : Number(engine), value });
  }
  return samples;
}

/**
 * A server's ranks are numbered from 0 where requests name them, but labelled by their number in the whole deployment, of which a
 * server may have only a part (hybrid load balancing): rank n is the one with the nth label.
 */
function valuesOf(samples: readonly Sample[], rank: number | undefined): readonly number[] {
  if (rank === undefined) return samples.map(({ value }) => value);
  const engines = [...new Set(samples.map(({ engine }) => engine ?? 0))].sort((one, other) => one - other);
  const wanted = engines[rank];
  return samples.filter(({ engine }) => (engine ?? 0) === wanted).map(({ value }) => value);
}

function numberOf(written: string): number {
  return written.trim() === '' ? Number.NaN : Number(written);
}

function sumOf(values: readonly number[]): number | undefined {
  return values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0);
}

function maxOf(values: readonly number[]): number | undefined {
  return values.length === 0 ? undefined : Math.max(...values);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
