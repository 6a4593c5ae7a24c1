/**
 * How much a server has to do, as it reports: vLLM by `/metrics` and by a header of whole answers; llama-server by `/metrics`, if it
 * was started with it, else by `/slots`. A report that fails says nothing about the server's health. Owns which routes it has.
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
  /** The routes that the server does not have. */
  readonly #missing = new Set<string>();
  #askedAt: Milliseconds = Number.NEGATIVE_INFINITY;

  constructor({ upstream, clock }: { readonly upstream: Upstream; readonly clock: Clock }) {
    this.#upstream = upstream;
    this.#clock = clock;
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

  /** Headers that ask for the load with a whole answer; undefined where it is not worth asking. */
  headersToAsk({ reportsLoad }: Pick<Dialect, 'reportsLoad'>): readonly string[] | undefined {
    if (!reportsLoad) return undefined;
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
    return path === '/slots' ? loadOfSlots(text) : loadOfMetrics(text);
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

/** From Prometheus' text format. Requests of several engines are summed; of their KV caches the mean counts. */
export function loadOfMetrics(text: string): LoadReport | undefined {
  return loadOf({
    running: sumOf(firstFound(text, METRICS.running)),
    waiting: sumOf(firstFound(text, METRICS.waiting)),
    kvCacheUsed: meanOf(firstFound(text, METRICS.kvCacheUsed)),
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
 * Rust omits the first word.
 */
export function loadOfHeader({ 'endpoint-load-metrics': value }: ResponseHeaders): LoadReport | undefined {
  if (typeof value !== 'string') return undefined;
  const written = value.replace(/^(?:TEXT|JSON)\s+/i, '').trim();
  const metrics = written.startsWith('{')
    ? asObject(asObject(parsed(written)).named_metrics)
    : pairsOf(written);
  const read = (...names: readonly string[]) => {
    const found = names.map((name) => metrics[name]).find((metric) => typeof metric === 'number');
    return found as number | undefined;
  };
  return loadOf({
    running: read('num_requests_running'),
    waiting: read('num_requests_waiting'),
    kvCacheUsed: read('kv_cache_usage_perc', 'gpu_cache_usage_perc'),
  });
}

function pairsOf(written: string): Readonly<Record<string, number>> {
  const pairs = written.split(',').map((pair) => pair.split('='));
  return Object.fromEntries(
    pairs.map(([name = '', value = '']) => [name.trim().replace(/^named_metrics\./, ''), numberOf(value)]),
  );
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

/** The samples of the first of these metrics that has any. */
function firstFound(text: string, names: readonly string[]): readonly number[] {
  for (const name of names) {
    const samples = samplesOf(text, name);
    if (samples.length > 0) return samples;
  }
  return [];
}

/** Each line is `name value` or `name{label="…"} value`, and may end with a time. */
function samplesOf(text: string, name: string): readonly number[] {
  const samples: number[] = [];
  for (let at = text.indexOf(name); at !== -1; at = text.indexOf(name, at + name.length)) {
    const isLineStart = at === 0 || text[at - 1] === '\n';
    const after = text[at + name.length];
    if (!isLineStart || (after !== '{' && after !== ' ')) continue;
    const end = text.indexOf('\n', at);
    const line = text.slice(at + name.length, end === -1 ? undefined : end);
    const value = numberOf(
      line
        .slice(line.lastIndexOf('}') + 1)
        .trim()
        .split(' ')[0] ?? '',
    );
    if (Number.isFinite(value)) samples.push(value);
  }
  return samples;
}

function numberOf(written: string): number {
  return written.trim() === '' ? Number.NaN : Number(written);
}

function sumOf(samples: readonly number[]): number | undefined {
  return samples.length === 0 ? undefined : samples.reduce((sum, value) => sum + value, 0);
}

function meanOf(samples: readonly number[]): number | undefined {
  const sum = sumOf(samples);
  return sum === undefined ? undefined : sum / samples.length;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
