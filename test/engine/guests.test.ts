/** Several processes use one real engine: their answers, and what the death or the rest of one costs the others. */
import { type ChildProcess, fork } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { never, read, requestFor } from '../support/embedded-engine.ts';
import { joinedEngine } from '../support/joined-engine.ts';
import { pulled } from '../support/pulled-generation.ts';

const GUEST = fileURLToPath(new URL('../support/engine-guest.mjs', import.meta.url));
const PARIS = 'The capital of France is Paris.';
const ask = () => requestFor('What is the capital of France?');
const STORY = { limits: { maxTokens: 300, ignoreEos: true } } as const;

/** Closed after the test. */
function started(overrides: Parameters<typeof joinedEngine>[0] = {}) {
  const engine = joinedEngine(overrides);
  onTestFinished(() => engine.close());
  return engine;
}

interface Ended {
  readonly id: number;
  readonly how: string;
  readonly text: string;
}

/** A guest that is a process of its own. */
function guestProcess(address: string | undefined, count: number, maxTokens: number) {
  const child: ChildProcess = fork(GUEST, [address ?? '', `${count}`, `${maxTokens}`], { execArgv: [] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const ended: Ended[] = [];
  const first = new Promise<void>((resolve) => {
    child.on('message', (message) => {
      const { type } = message as { readonly type: string };
      if (type === 'first') resolve();
      else ended.push(message as Ended);
    });
  });
  return { child, ended, first };
}

describe('an engine that several processes use', () => {
  it('gives each what it gives its own process, at the same time and under the same numbers', async () => {
    const { owner, join } = started();
    await owner.backend.warmUp({ signal: never() });
    const guests = [join(), join()];
    const prompts = ['What is the capital of France?', 'What is two plus two?', 'Name a colour.'];
    const all = [owner, ...guests].flatMap(({ backend }) =>
      prompts.map((prompt) => read(pulled(backend, requestFor(prompt), { signal: never() }))),
    );
    const texts = (await Promise.all(all)).map(({ text }) => text);
    expect(texts.slice(0, 1)).toEqual([PARIS]);
    expect([texts[3], texts[6]]).toEqual([PARIS, PARIS]);
    for (const { finish } of await Promise.all(all)) expect(finish.usage.completionTokens).toBeGreaterThan(0);
  });

  it('reuses a prefix for whoever comes: of one scope, whatever its process; of another, not', async () => {
    const { owner, join } = started({ slots: 1 });
    await owner.backend.warmUp({ signal: never() });
    const [one, two] = [join().backend, join().backend];
    const long = requestFor(`${'All work and no play makes a dull day. '.repeat(8)}What is it about?`, {
      limits: { maxTokens: 4 },
    });
    const cached = async (backend: typeof one, cacheScope: string) =>
      (await read(pulled(backend, long, { signal: never(), cacheScope }))).start.cachedTokens;
    expect(await cached(one, 'a')).toBe(0);
    expect(await cached(two, 'a')).toBeGreaterThan(50);
    expect(await cached(one, 'b')).toBe(0);
  });

  it('that is killed fails what each had, and a new one answers what comes then', async () => {
    const engine = started({ slots: 2 });
    const { owner, join } = engine;
    await owner.backend.warmUp({ signal: never() });
    const guests = [join(), join()];
    const streams = guests.map(({ backend }) =>
      pulled(backend, requestFor('Tell me a very long story.', STORY), { signal: never() }),
    );
    await Promise.all(streams.map((stream) => stream.next()));
    process.kill(owner.pids.at(-1) as number, 'SIGKILL');
    for (const stream of streams) {
      const rest = (async () => {
        while (!(await stream.next()).done);
      })();
      await expect(rest).rejects.toMatchObject({ code: 'backend_error' });
    }
    const answers = guests.map(({ backend }) => read(pulled(backend, ask(), { signal: never() })));
    expect((await Promise.all(answers)).map(({ text }) => text)).toEqual([PARIS, PARIS]);
    expect(owner.pids).toHaveLength(2);
    expect(readdirSync(dirname(engine.address ?? ''))).toHaveLength(1);
  });

  it('is free at once of what a killed process had; the others’ answers go on', async () => {
    const engine = started({ slots: 2, context_size: 2048 });
    const { owner, join } = engine;
    await owner.backend.warmUp({ signal: never() });
    const { backend } = join();
    const alone = await read(pulled(backend, requestFor('Count to thirty.', { limits: { maxTokens: 60 } })));
    const other = pulled(backend, requestFor('Count to thirty.', { limits: { maxTokens: 60 } }), {
      signal: never(),
    });
    const rest = read(other);
    // One runs, the others wait: computed to their ends, they would hold up the next request for longer than any test may take.
    const killed = guestProcess(engine.address, 400, 1900);
    await killed.first;
    killed.child.kill('SIGKILL');
    expect((await read(pulled(backend, ask(), { signal: never() }))).text).toBe(PARIS);
    expect((await rest).text.length).toBeGreaterThan(0);
    expect((await rest).finish.usage.completionTokens).toBe(alone.finish.usage.completionTokens);
    expect(killed.ended).toEqual([]);
    expect(owner.pids).toHaveLength(1);
  });

  it('goes on for the others while one is stopped, which has its whole answers when it runs again', async () => {
    const engine = started({ slots: 3 });
    await engine.owner.backend.warmUp({ signal: never() });
    const { backend } = engine.join();
    const stopped = guestProcess(engine.address, 2, 100);
    await stopped.first;
    stopped.child.kill('SIGSTOP');
    for (let count = 0; count < 3; count += 1)
      expect((await read(pulled(backend, ask(), { signal: never() }))).text).toBe(PARIS);
    stopped.child.kill('SIGCONT');
    await vi.waitFor(() => expect(stopped.ended).toHaveLength(2), { timeout: 120_000 });
    expect(stopped.ended.map(({ how }) => how)).toEqual(['finish', 'finish']);
  });
});
