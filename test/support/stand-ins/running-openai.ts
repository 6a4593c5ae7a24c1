/** A stand-in for a server that speaks OpenAI's protocol, with a backend for its model, both ended with the test that started them. */
import { onTestFinished } from 'vitest';
import {
  OpenAiCompatibleBackend,
  type OpenAiCompatibleTarget,
} from '../../../src/backends/openai-compatible/backend.ts';
import type { Clock } from '../../../src/core/clock.ts';
import { type Log, silentLog } from '../../../src/core/log.ts';
import { systemClock } from '../../../src/system-clock.ts';
import { type OpenAiStandInOptions, startOpenAiStandIn } from './openai-stand-in.ts';
import type { StandIn } from './stand-in-server.ts';

export async function runningOpenAi(
  options: OpenAiStandInOptions = {},
  overrides: Partial<OpenAiCompatibleTarget> = {},
  log: Log = silentLog,
  clock: Clock = systemClock,
): Promise<{ standIn: StandIn; backend: OpenAiCompatibleBackend }> {
  const standIn = await startOpenAiStandIn(options);
  const target = {
    model: 'smollm2',
    url: standIn.url,
    flavor: 'auto' as const,
    connect_timeout_ms: 30_000,
    ...overrides,
  };
  const backend = new OpenAiCompatibleBackend(target, { clock, log });
  onTestFinished(async () => {
    await backend.close();
    await standIn.close();
  });
  return { standIn, backend };
}
