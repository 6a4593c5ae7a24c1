/**
 * Metrics of the process itself, under the names that the dashboards of Prometheus' client libraries know. All are read when they are
 * scraped. The event loop is watched from the first scrape on, so that a server that nobody scrapes does nothing for it.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { type IntervalHistogram, monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { getHeapSpaceStatistics } from 'node:v8';
import type { MetricFamily, Sample } from './prometheus.ts';

/** Its timer wakes the process so often. */
const RESOLUTION_MS = 20;
const NANOSECONDS = 1e9;
const MICROSECONDS = 1e6;

/** Delay of the event loop since the scrape before, in seconds: how much later its timer came than it should have. */
interface LoopDelay {
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  readonly stddev: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
}

const NO_DELAY: LoopDelay = { min: 0, max: 0, mean: 0, stddev: 0, p50: 0, p90: 0, p99: 0 };

export class ProcessMetrics {
  readonly families: readonly MetricFamily[];
  #histogram: IntervalHistogram | undefined;
  /** Of the scrape under way. */
  #delay: LoopDelay = NO_DELAY;

  constructor() {
    this.families = [...processFamilies(), ...this.#loopFamilies(), ...heapFamilies()];
  }

  /** Before each scrape. */
  read(): void {
    if (this.#histogram === undefined) {
      this.#histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
      this.#histogram.enable();
      return;
    }
    this.#delay = delayOf(this.#histogram);
    this.#histogram.reset();
  }

  close(): void {
    this.#histogram?.disable();
    this.#histogram = undefined;
  }

  #loopFamilies(): readonly MetricFamily[] {
    const lag = (name: string, help: string, read: (delay: LoopDelay) => number) =>
      gauge(`nodejs_eventloop_lag${name}_seconds`, help, () => read(this.#delay));
    const since = 'delay of the event loop since the scrape before';
    return [
      lag('', `Mean ${since}.`, ({ mean }) => mean),
      lag('_min', `Least ${since}.`, ({ min }) => min),
      lag('_max', `Greatest ${since}.`, ({ max }) => max),
      lag('_mean', `Mean ${since}.`, ({ mean }) => mean),
      lag('_stddev', `Standard deviation of the ${since}.`, ({ stddev }) => stddev),
      lag('_p50', `Median ${since}.`, ({ p50 }) => p50),
      lag('_p90', `90th percentile of the ${since}.`, ({ p90 }) => p90),
      lag('_p99', `99th percentile of the ${since}.`, ({ p99 }) => p99),
      counter(
        'llm_serve_event_loop_active_seconds_total',
        'Time in which the event loop had something to do; its rate is the utilization, 1: no more can be done.',
        () => performance.eventLoopUtilization().active / 1000,
      ),
    ];
  }
}

function delayOf(histogram: IntervalHistogram): LoopDelay {
  if (histogram.count === 0) return NO_DELAY;
  // What is recorded is the time between two ticks of the timer.
  const seconds = (nanoseconds: number) => Math.max(0, nanoseconds / NANOSECONDS - RESOLUTION_MS / 1000);
  return {
    min: seconds(histogram.min),
    max: seconds(histogram.max),
    mean: seconds(histogram.mean),
    stddev: histogram.stddev / NANOSECONDS,
    p50: seconds(histogram.percentile(50)),
    p90: seconds(histogram.percentile(90)),
    p99: seconds(histogram.percentile(99)),
  };
}

function processFamilies(): readonly MetricFamily[] {
  const startedAtSeconds = performance.timeOrigin / 1000;
  return [
    counter('process_cpu_seconds_total', 'CPU time of the process, without the embedded engine’s.', () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / MICROSECONDS;
    }),
    counter(
      'process_cpu_user_seconds_total',
      'Of it, in the program.',
      () => process.cpuUsage().user / MICROSECONDS,
    ),
    counter(
      'process_cpu_system_seconds_total',
      'Of it, in the operating system.',
      () => process.cpuUsage().system / MICROSECONDS,
    ),
    gauge(
      'process_start_time_seconds',
      'When the process started, since the Unix epoch.',
      () => startedAtSeconds,
    ),
    gauge('process_resident_memory_bytes', 'Memory of the process, without the embedded engine’s.', () =>
      process.memoryUsage.rss(),
    ),
    gauge(
      'process_open_fds',
      'Open file descriptors: connections, files, pipes. On Linux only.',
      openDescriptors,
    ),
    gauge('process_max_fds', 'How many the operating system allows. On Linux only.', maxDescriptors),
  ];
}

function heapFamilies(): readonly MetricFamily[] {
  const spaces = (
    name: string,
    help: string,
    read: (space: ReturnType<typeof getHeapSpaceStatistics>[number]) => number,
  ) =>
    family('gauge', `nodejs_heap_space_size_${name}_bytes`, help, () =>
      getHeapSpaceStatistics().map((space) => ({
        // As the client library for Node names them.
        labels: { space: space.space_name.replace(/_space$/, '') },
        value: read(space),
      })),
    );
  return [
    gauge(
      'nodejs_heap_size_total_bytes',
      'Size of the JavaScript heap.',
      () => process.memoryUsage().heapTotal,
    ),
    gauge('nodejs_heap_size_used_bytes', 'Of it, what is in use.', () => process.memoryUsage().heapUsed),
    gauge(
      'nodejs_external_memory_bytes',
      'Memory outside of the heap: buffers.',
      () => process.memoryUsage().external,
    ),
    spaces('total', 'Size of each space of the heap.', ({ space_size }) => space_size),
    spaces('used', 'Of it, what is in use.', ({ space_used_size }) => space_used_size),
    spaces('available', 'Of it, what is free.', ({ space_available_size }) => space_available_size),
    family('gauge', 'nodejs_version_info', 'Always 1; the labels are the version of Node.', () => {
      const [major = '', minor = '', patch = ''] = process.versions.node.split('.');
      return [{ labels: { version: process.version, major, minor, patch }, value: 1 }];
    }),
  ];
}

/** `read` answers undefined where it cannot be known. */
function gauge(name: string, help: string, read: () => number | undefined): MetricFamily {
  return family('gauge', name, help, () => samplesOf(read()));
}

function counter(name: string, help: string, read: () => number): MetricFamily {
  return family('counter', name, help, () => samplesOf(read()));
}

function samplesOf(value: number | undefined): readonly Sample[] {
  return value === undefined ? [] : [{ labels: {}, value }];
}

function family(
  type: MetricFamily['type'],
  name: string,
  help: string,
  samples: () => readonly Sample[],
): MetricFamily {
  return { name, help, type, across: 'each', samples };
}

function openDescriptors(): number | undefined {
  try {
    // The directory itself is open while it is read.
    return readdirSync('/proc/self/fd').length - 1;
  } catch {
    return undefined;
  }
}

function maxDescriptors(): number | undefined {
  try {
    const limit = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
    return limit === undefined ? undefined : Number(limit);
  } catch {
    return undefined;
  }
}
