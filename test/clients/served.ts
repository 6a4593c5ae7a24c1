/** What the servers of all backends have in common: their flags, and what tests read off them. */
import { type Executable, type ExecutableOptions, startServer } from '../support/executable.ts';
import { metric } from '../support/http-client.ts';
import { whenReady } from '../support/readiness.ts';
import type { Served } from './client-suite.ts';

export type EndsWith = ExecutableOptions['endsWith'];

export interface ModelEntry {
  readonly id: string;
  readonly targets: readonly Readonly<Record<string, unknown>>[];
}

export interface Models {
  readonly all: readonly ModelEntry[];
  /** Those of the server with the narrow rate limit. */
  readonly limited: readonly ModelEntry[];
}

const ROOMY = ['--rate-limit.enabled', 'false'];

/** One request a second for each address that the client tells. */
const NARROW = [
  ...['--rate-limit.requests', '1', '--rate-limit.window-seconds', '1'],
  ...['--server.trusted-proxies', '["127.0.0.1"]'],
];

/** Two servers over the same backend, both ready. */
export async function serve(
  { all, limited }: Models,
  options: Omit<ExecutableOptions, 'flags'>,
): Promise<Pick<Served, 'url' | 'limitedUrl' | 'slotsUsed' | 'cancelled'>> {
  const start = async (models: readonly ModelEntry[], flags: readonly string[]): Promise<Executable> => {
    const server = await startServer({ ...options, flags: ['--models', JSON.stringify(models), ...flags] });
    await whenReady(server);
    return server;
  };
  const [server, narrow] = await Promise.all([start(all, ROOMY), start(limited, NARROW)]);
  return {
    url: server.url,
    limitedUrl: narrow.url,
    slotsUsed: () => metric(server, 'llm_serve_slots_used'),
    cancelled: () => metric(server, 'llm_serve_cancelled_total'),
  };
}
