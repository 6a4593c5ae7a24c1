/** Two real Ollamas behind one model, wherever an executable is found: one is stopped while both answer. */
import { expect, it, onTestFinished } from 'vitest';
import { modelPath } from '../support/embedded-engine.ts';
import { askFor, type Outcome } from '../support/faults/asks.ts';
import { whenReady } from '../support/readiness.ts';
import { startServer } from '../support/server.ts';
import { findOllama, NO_OLLAMA, startRealOllama } from './real-ollama.ts';

const STREAMS = 24;
const PARALLEL = 2;
const MAX_TOKENS = 40;
const executable = findOllama();

it('of two real Ollamas one is stopped: whole answers all come, streams come whole or end with an error', async (context) => {
  if (executable === undefined) {
    context.skip(NO_OLLAMA);
    return;
  }
  const path = await modelPath();
  const start = () => startRealOllama({ executable, modelPath: path, parallel: PARALLEL });
  const first = await start();
  onTestFinished(() => first.stop());
  const second = await start();
  let isStopped = false;
  const stopSecond = async () => {
    if (!isStopped) await second.stop();
    isStopped = true;
  };
  onTestFinished(stopSecond);
  const targets = [second, first].map(({ url, model }, at) => ({
    name: `ollama-${at}`,
    backend: 'ollama',
    url,
    model,
    slots: PARALLEL,
    context_size: 512,
  }));
  const server = await startServer({
    flags: ['--models', JSON.stringify([{ id: 'm', targets }]), '--rate-limit.enabled', 'false'],
    endsWith: onTestFinished,
  });
  await whenReady(server);

  const ask = (index: number): Promise<Outcome> =>
    askFor(
      server,
      { protocol: 'openai-chat', form: index % 2 === 0 ? 'stream' : 'whole' },
      `Count to ${index + 20}.`,
      { maxTokens: MAX_TOKENS },
    );
  const undisturbed = await Promise.all(Array.from({ length: STREAMS }, (_, index) => ask(index)));
  let ended = 0;
  const disturbed = await Promise.all(
    Array.from({ length: STREAMS }, async (_, index) => {
      const outcome = await ask(index);
      ended += 1;
      if (ended === STREAMS / 3) await stopSecond();
      return outcome;
    }),
  );
  for (const [index, { kind, body }] of undisturbed.entries())
    expect(kind, `${index}: ${body}`).toBe('answer');
  for (const [index, { kind, body }] of disturbed.entries()) {
    const isWhole = index % 2 === 1;
    expect(isWhole ? ['answer'] : ['answer', 'error'], `${index}: ${body}`).toContain(kind);
  }
  const failed = disturbed.filter(({ kind }) => kind === 'error');
  // At most those that streamed there when it was stopped.
  expect(failed.length).toBeLessThanOrEqual(PARALLEL);
});
