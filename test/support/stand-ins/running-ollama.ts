/** An Ollama stand-in with a backend for its model, both ended with the test that started them. */
import { onTestFinished } from 'vitest';
import { OllamaBackend, type OllamaTarget } from '../../../src/backends/ollama/backend.ts';
import { systemClock } from '../../../src/system-clock.ts';
import { type OllamaStandIn, type OllamaStandInOptions, startOllamaStandIn } from './ollama-stand-in.ts';
import type { SeenRequest, StandIn } from './stand-in-server.ts';

export async function runningOllama(
  options: OllamaStandInOptions = {},
  overrides: Partial<OllamaTarget> = {},
): Promise<{ standIn: OllamaStandIn; backend: OllamaBackend }> {
  const standIn = await startOllamaStandIn(options);
  const target = {
    model: 'smollm2',
    url: standIn.url,
    keep_alive: -1,
    connect_timeout_ms: 30_000,
    ...overrides,
  };
  const backend = new OllamaBackend(target, { clock: systemClock });
  onTestFinished(async () => {
    await backend.close();
    await standIn.close();
  });
  return { standIn, backend };
}

export async function unload({ url, model }: StandIn): Promise<void> {
  const body = JSON.stringify({ model, keep_alive: 0 });
  await (await fetch(`${url}/api/generate`, { method: 'POST', body })).text();
}

/** Another model under its name. */
export async function replaceModel({ url, model }: StandIn): Promise<void> {
  await (await fetch(`${url}/api/create`, { method: 'POST', body: JSON.stringify({ model }) })).text();
}

/** As a client of its own does. */
export async function deleteModel({ url }: StandIn, model: string): Promise<void> {
  await (await fetch(`${url}/api/delete`, { method: 'POST', body: JSON.stringify({ model }) })).text();
}

/** The requests for a path, the latest last. */
export function seenAt(standIn: StandIn, path: string): readonly SeenRequest[] {
  return standIn.seen().filter((request) => request.path === path);
}
