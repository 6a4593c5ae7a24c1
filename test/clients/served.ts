/** What the servers of all backends have in common: their flags, and what tests read off them. */
import { expect, vi } from 'vitest';
import { metric, send } from '../support/http-client.ts';
import { whenReady } from '../support/readiness.ts';
import { scripted } from '../support/scripted-server.ts';
import { type RunningServer, type ServerOptions, startServer } from '../support/server.ts';
import { ownAddress } from './asked.ts';
import type { Served } from './client-suite.ts';
import { type ClientId, MATRIX } from './matrix.ts';

export type EndsWith = ServerOptions['endsWith'];

export interface ModelEntry {
  readonly id: string;
  readonly targets: readonly Readonly<Record<string, unknown>>[];
}

export interface Models {
  readonly all: readonly ModelEntry[];
  /** Those of the server with the narrow rate limit. */
  readonly limited: readonly ModelEntry[];
}

const WITHIN = { timeout: 60_000, interval: 20 };

const busyModel = (client: ClientId): string => `busy-${client}`;

/** For each client a model whose queue is easily full. */
const BUSY: readonly ModelEntry[] = (Object.keys(MATRIX.clients) as ClientId[]).map((client) => ({
  id: busyModel(client),
  targets: [{ backend: 'scripted', model: 'busy', slots: 1 }],
}));

const ROOMY = ['--rate-limit.enabled', 'false'];

/** One request a second for each address that the client tells. */
const NARROW = [
  ...['--rate-limit.requests', '1', '--rate-limit.window-seconds', '1'],
  ...['--scheduler.max-queue', '1'],
  ...['--server.trusted-proxies', '["127.0.0.1"]', '--auth.allow-open', 'true'],
];

/** Two servers over the same backend, both ready. */
export async function serve(
  { all, limited }: Models,
  options: Omit<ServerOptions, 'flags'>,
): Promise<Pick<Served, 'url' | 'limitedUrl' | 'slotsUsed' | 'whileBusy' | 'cancelled'>> {
  const start = async (models: readonly ModelEntry[], flags: readonly string[]): Promise<RunningServer> => {
    const server = await startServer({ ...options, flags: ['--models', JSON.stringify(models), ...flags] });
    await whenReady(server);
    return server;
  };
  const [server, narrow] = await Promise.all([start(all, ROOMY), start([...limited, ...BUSY], NARROW)]);
  return {
    url: server.url,
    limitedUrl: narrow.url,
    slotsUsed: () => metric(server, 'llm_serve_slots_used'),
    whileBusy: (client, run) => whileBusy(narrow, busyModel(client), run),
    cancelled: () => metric(server, 'llm_serve_cancelled_total'),
  };
}

async function whileBusy(
  server: RunningServer,
  model: string,
  run: (model: string) => Promise<void>,
): Promise<void> {
  const generate = (script: Readonly<Record<string, unknown>>) =>
    send(`${server.url}/generate`, {
      body: { model, prompt: scripted(script) },
      headers: { 'x-forwarded-for': ownAddress() },
    });
  const oneOf = (name: string) =>
    vi.waitFor(async () => expect(await metric(server, name, `model="${model}"`)).toBe(1), WITHIN);
  const running = generate({ fail: 'hang' });
  await oneOf('llm_serve_slots_used');
  const waiting = generate({});
  await oneOf('llm_serve_requests_waiting');
  const outcome = run(model);
  try {
    await Promise.race([
      server.logged((line) => line.model === model && line.errorCode === 'queue_full'),
      outcome,
    ]);
  } finally {
    for (const request of [running, waiting]) request.destroy();
  }
  await outcome;
}
