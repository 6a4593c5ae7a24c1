/** Metrics of the processes of a server that has several. */
import type { MetricFamily } from './prometheus.ts';

interface CountedWorkers {
  /** How many there should be. */
  readonly count: number;
  /** Those that serve now. */
  readonly serving: number;
  readonly restarts: number;
}

/** `workers`: read when they are scraped. */
export function workerFamilies(workers: () => CountedWorkers): readonly MetricFamily[] {
  return [
    {
      name: 'llm_serve_workers',
      help: 'Worker processes that serve now. Only with server.workers above 1.',
      type: 'gauge',
      samples: () => [{ labels: {}, value: workers().serving }],
    },
    {
      name: 'llm_serve_workers_configured',
      help: 'Worker processes that there should be: server.workers as it was at the start. Only with server.workers above 1.',
      type: 'gauge',
      samples: () => [{ labels: {}, value: workers().count }],
    },
    {
      name: 'llm_serve_worker_restarts_total',
      help: 'Worker processes that were replaced because they had died or hung. Only with server.workers above 1.',
      type: 'counter',
      samples: () => [{ labels: {}, value: workers().restarts }],
    },
  ];
}
