import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { createLlamaCpp } from '../../../src/backends/llama-cpp/backend.ts';
import { Cancellation } from '../../../src/core/cancellation.ts';
import type { Clock } from '../../../src/core/clock.ts';
import type { GenerationRequest } from '../../../src/core/generation.ts';
import { silentLog } from '../../../src/core/log.ts';
import type { RequestTrace } from '../../../src/core/request-trace.ts';
import { systemClock } from '../../../src/system-clock.ts';
import { fakeTarget, textRequest } from '../../support/fake-backend.ts';
import { fakeEngines, LOADED } from '../../support/fake-engine.ts';
import { RETRY } from '../../support/scheduling.ts';
import { servingWith } from '../../support/serving-with.ts';
import { tinyModelFile } from '../../support/tiny-model-file.ts';

/** Statements for scripts. `starts`: which engine it is, from 1. */
const SAYS = (...words: readonly string[]) =>
  `say([{ type: 'start', promptTokens: 3 }, ...${JSON.stringify(words)}.map((text) => ({ type: 'text', text }))]);`;
const ENDS = `say([{ type: 'finish', reason: 'stop', usage: { promptTokens: 3, completionTokens: 3, cachedTokens: 0 } }]);`;
const DIES = `process.send({ type: 'alive', progress: 0 }, () => process.exit(1));`;

const folder = mkdtempSync(join(tmpdir(), 'lost-engine-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const engine = fakeEngines();
let servers = 0;

interface Ended {
  readonly text: string;
  readonly error: string | undefined;
  readonly trace: RequestTrace;
}

/** Serves the one model `m` by an engine whose `load` and `generate` do this; waits are a hundred times shorter. */
async function serve({ load = LOADED, generate }: { load?: string; generate: string }) {
  servers += 1;
  const counter = join(folder, `starts-${servers}`);
  const enginePath = engine(`
    const fs = process.getBuiltinModule('node:fs');
    if (message.type === 'load') fs.appendFileSync(${JSON.stringify(counter)}, 'x');
    const starts = message.type === 'load' || message.type === 'generate' ? fs.readFileSync(${JSON.stringify(counter)}).length : 0;
    const say = (events) => process.send({ type: 'events', events: events.map((event) => ({ id: message.generation.id, event })) });
    const prompt = message.type === 'generate' ? message.generation.input.prompt : '';
    if (message.type === 'load') { ${load} }
    if (message.type === 'generate') { ${generate} }`);
  const clock: Clock = {
    ...systemClock,
    schedule: (delayMs, run) => systemClock.schedule(delayMs / 100, run),
  };
  const { path } = await tinyModelFile();
  const patient = { step_timeout_ms: 3_600_000, load_timeout_ms: 36_000_000 };
  const backend = createLlamaCpp(
    { id: 'm', model: path, slots: 4, context_size: 64, gpu: 'off', flash_attention: true, ...patient },
    {
      clock,
      log: silentLog,
      cacheDirectory: folder,
      processEnvironment: process.env,
      onDownloadProgress() {},
    },
    enginePath,
  );
  const limits = { firstTokenTimeoutMs: 3_600_000, idleTimeoutMs: 3_600_000 };
  const target = fakeTarget(backend, {
    embedded: true,
    slots: 4,
    status: { state: 'unloaded', loaded: false },
    ...limits,
  });
  const serving = servingWith({
    clock,
    targets: [target],
    queueTimeoutMs: 3_600_000,
    retry: RETRY,
  });
  onTestFinished(() => serving.close());
  serving.start();
  await vi.waitFor(() => expect(target.status.state).toBe('ready'), { timeout: 55_000, interval: 10 });
  const ask = (prompt: string, request: Partial<GenerationRequest> = {}): Promise<Ended> =>
    new Promise((resolve) => {
      const trace: RequestTrace = { requestId: prompt, receivedAt: clock.now() };
      let text = '';
      const call = {
        request: {
          ...textRequest(prompt),
          sampling: { temperature: 0 },
          ...request,
        },
        delivery: 'stream' as const,
        trace,
        client: 'client',
        priority: 'normal' as const,
        cancellation: new Cancellation(),
        deadlineAt: clock.now() + 36_000_000,
      };
      serving.generate(call, {
        event: (event) => {
          if (event.type === 'text') text += event.text;
          if (event.type === 'finish') resolve({ text, error: undefined, trace });
        },
        fail: ({ message }) => resolve({ text, error: message, trace }),
      });
    });
  return { ask, starts: () => readFileSync(counter).length };
}

describe('a request of an embedded engine that dies', () => {
  it('without a token runs at the next engine, as do those beside it', async () => {
    const { ask, starts } = await serve({
      generate: `if (starts === 1) { ${DIES} } else { ${SAYS('one', ' two')} ${ENDS} }`,
    });
    const ended = await Promise.all(['a', 'b', 'c'].map((prompt) => ask(prompt)));
    expect(ended.map(({ text, error }) => [text, error])).toEqual(Array(3).fill(['one two', undefined]));
    expect(ended[0]?.trace.attempts?.[0]).toMatchObject({ failure: 'engine_lost' });
    expect(ended[0]?.trace.resumptions).toBeUndefined();
    expect(starts()).toBe(2);
  });

  it('with tokens goes on at the next engine where it is greedy', async () => {
    const { ask } = await serve({
      generate: `if (starts === 1) { ${SAYS('one', ' two')} ${DIES} } else { ${SAYS('one two', ' three')} ${ENDS} }`,
    });
    expect(await ask('a')).toMatchObject({
      text: 'one two three',
      error: undefined,
      trace: { resumptions: 1 },
    });
  });

  it('with tokens ends with its error where the next engine differs', async () => {
    const { ask } = await serve({
      generate: `if (starts === 1) { ${SAYS('one', ' two')} ${DIES} } else { ${SAYS('one too')} ${ENDS} }`,
    });
    expect(await ask('a')).toMatchObject({
      text: 'one two',
      error: expect.stringContaining('engine stopped'),
      trace: { notResumed: 'the other answer differs from what was sent' },
    });
  });

  it('is continued from its text where it is sampled', async () => {
    const { ask } = await serve({
      generate: `if (starts === 1) { ${SAYS('one', ' two')} ${DIES} } else { ${SAYS(' three')} say([{ type: 'text', text: ' after: ' + prompt }]); ${ENDS} }`,
    });
    expect(await ask('count: ', { sampling: {} })).toMatchObject({
      text: 'one two three after: count: one two',
      error: undefined,
    });
  });

  it('begins with its tokens at the next engine, whatever they are, also where it is sampled', async () => {
    const withTokens = `say([{ type: 'start', promptTokens: 3 }]);
      const send = (event, ...tokens) => process.send({ type: 'events', events: [{ id: message.generation.id, event, tokens }] });
      send({ type: 'reasoning', text: 'hm' }, 7, 8); send({ type: 'text', text: 'one' }, 9);`;
    const begun = `say([{ type: 'start', promptTokens: 3 }, { type: 'reasoning', text: 'hm' }, { type: 'text', text: 'one' }]);
      say([{ type: 'text', text: ' after ' + message.generation.begunWith.join() }]);`;
    const { ask } = await serve({
      generate: `if (starts === 1) { ${withTokens} ${DIES} } else { ${begun} ${ENDS} }`,
    });
    expect(await ask('a', { sampling: {} })).toMatchObject({
      text: 'one after 7,8,9',
      error: undefined,
      trace: { resumptions: 1, usage: { promptTokens: 3, completionTokens: 3 } },
    });
  });

  it('waits for the engine after it where the next one dies while it loads', async () => {
    const { ask, starts } = await serve({
      load: `if (starts === 2) process.exit(1); else { ${LOADED} }`,
      generate: `if (starts === 1) { ${SAYS('one')} ${DIES} } else { ${SAYS('one', ' two')} ${ENDS} }`,
    });
    expect(await ask('a')).toMatchObject({ text: 'one two', error: undefined });
    expect(starts()).toBe(3);
  });

  it('that kills every engine ends with its error after its attempts; the next request is answered', async () => {
    const { ask, starts } = await serve({
      generate: `if (prompt === 'poison') { ${DIES} } else { ${SAYS('one')} ${ENDS} }`,
    });
    const poison = await ask('poison');
    expect(poison).toMatchObject({ text: '', error: expect.stringContaining('engine') });
    expect(poison.trace.attempts).toHaveLength(RETRY.attempts);
    expect(starts()).toBeLessThanOrEqual(RETRY.attempts + 1);
    expect(await ask('a')).toMatchObject({ text: 'one', error: undefined });
  });
});
