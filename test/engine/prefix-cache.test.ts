/** What is evaluated of a prompt that begins as one before it: only what is new, wherever the beginning is held. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { Message } from '../../src/core/generation.ts';
import { embeddedEngine, never, read, requestFor } from '../support/embedded-engine.ts';
import { pulled } from '../support/pulled-generation.ts';

const { backend } = embeddedEngine({ slots: 2, context_size: 2048 });

interface Asking {
  readonly maxTokens?: number;
  readonly cacheScope?: string;
}

function ask(messages: readonly Message[], { maxTokens = 8, cacheScope }: Asking = {}) {
  const request = requestFor({ kind: 'chat', messages }, { limits: { maxTokens } });
  const options = { signal: never(), ...(cacheScope !== undefined && { cacheScope }) };
  return read(pulled(backend, request, options));
}

/** About 200 tokens that no other test has. */
const longText = (topic: string) =>
  Array.from(
    { length: 12 },
    (_, index) => `Rule ${index} of the ${topic} says what is done on day ${index}.`,
  ).join(' ');

beforeAll(() => backend.warmUp({ signal: never() }));

describe('a prompt that begins as one before it', () => {
  it('costs only what is new, in each turn of a conversation', async () => {
    const messages: Message[] = [{ role: 'system', content: longText('harbour') }];
    for (let turn = 0; turn < 5; turn += 1) {
      messages.push({ role: 'user', content: `And what of day ${turn}? Say it in a few words.` });
      const { text, finish, start } = await ask(messages);
      const { promptTokens, cachedTokens } = finish.usage;
      expect(start.cachedTokens).toBe(cachedTokens);
      // The question, the frame of two turns, and the last token of the answer, which was chosen but not evaluated.
      if (turn > 0) expect(promptTokens - cachedTokens).toBeLessThan(40);
      messages.push({ role: 'assistant', content: text });
    }
  });

  it('is copied from a sequence that is still answering another', async () => {
    const system: Message = { role: 'system', content: longText('library') };
    const first = pulled(
      backend,
      requestFor(
        { kind: 'chat', messages: [system, { role: 'user', content: 'Tell me a long story.' }] },
        { limits: { maxTokens: 200 } },
      ),
      { signal: never() },
    );
    const events = first[Symbol.asyncIterator]();
    await events.next();
    await events.next();
    const question: Message = { role: 'user', content: 'What is done on day 3?' };
    const beside = await ask([system, question]);
    expect(beside.finish.usage.cachedTokens).toBeGreaterThan(150);
    await events.return?.();
    // What was copied is what would have been evaluated.
    const alone = await ask([{ role: 'system', content: `${longText('library')}` }, question], {
      cacheScope: 'nobody else',
    });
    expect(alone.finish.usage.cachedTokens).toBe(0);
    expect(beside.text).toBe(alone.text);
  });

  it('is evaluated anew for another scope, and then kept for that one', async () => {
    const messages: readonly Message[] = [{ role: 'user', content: longText('secret garden') }];
    const cached = async (cacheScope: string) =>
      (await ask(messages, { cacheScope, maxTokens: 2 })).finish.usage.cachedTokens;
    expect(await cached('one client')).toBe(0);
    expect(await cached('one client')).toBeGreaterThan(150);
    expect(await cached('another')).toBe(0);
    expect(await cached('another')).toBeGreaterThan(150);
  });
});
