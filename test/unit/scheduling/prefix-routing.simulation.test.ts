/** Conversations over four servers that cache prompts by blocks, least recently used first out, in simulated time. */
import { describe, expect, it } from 'vitest';
import type { Message } from '../../../src/core/generation.ts';
import { fingerprintOf } from '../../../src/scheduling/prefix-fingerprint.ts';
import { Scheduler } from '../../../src/scheduling/scheduler.ts';
import { entry, SCHEDULER } from '../../support/scheduling.ts';

const TARGETS = ['m/vllm/0', 'm/vllm/1', 'm/vllm/2', 'm/vllm/3'];
const CONVERSATIONS = 200;
const TURNS = 8;
const BLOCK_TOKENS = 16;
/** Of one server. All conversations at their longest take about 160,000 tokens. */
const CACHE_BLOCKS = 4000;
const SYSTEM_TOKENS = 512;

/** Blocks of a prompt by their hash, the least recently used first. */
class BlockCache {
  readonly #blocks = new Map<string, true>();
  readonly #size: number;

  constructor(size: number) {
    this.#size = size;
  }

  /** Tokens of the prompt that were cached; all of it is from now on. */
  use(blocks: readonly string[]): number {
    let cached = 0;
    while (cached < blocks.length && this.#blocks.has(blocks[cached] ?? '')) cached += 1;
    for (const block of [...blocks].reverse()) {
      this.#blocks.delete(block);
      this.#blocks.set(block, true);
    }
    for (const oldest of this.#blocks.keys()) {
      if (this.#blocks.size <= this.#size) break;
      this.#blocks.delete(oldest);
    }
    return cached * BLOCK_TOKENS;
  }

  clear(): void {
    this.#blocks.clear();
  }
}

interface Conversation {
  readonly id: number;
  readonly messages: Message[];
  /** Tokens of its prompt so far. */
  tokens: number;
  turn: number;
}

interface Simulated {
  readonly prefixAffinity: boolean;
  readonly seed: number;
  readonly slots: number;
  /** A target that is away from one time to another; milliseconds. */
  readonly away?: { readonly from: number; readonly to: number };
}

function simulate({ prefixAffinity, seed, slots, away }: Simulated) {
  const random = randomOf(seed);
  const routing = { policy: 'load' as const, prefixAffinity, random };
  const scheduler = new Scheduler({ ...SCHEDULER, maxQueue: 10_000, maxBatchSize: 64, routing });
  const set = (id: string, state: 'ready' | 'down', now: number) =>
    scheduler.setTarget({ id, model: 'm', slots, state }, now);
  for (const id of TARGETS) set(id, 'ready', 0);
  const caches = new Map(TARGETS.map((id) => [id, new BlockCache(CACHE_BLOCKS)]));
  const ideal = new BlockCache(CACHE_BLOCKS * TARGETS.length);
  const running = new Map(TARGETS.map((id) => [id, 0]));
  const busy = new Map(TARGETS.map((id) => [id, 0]));
  let [now, promptTokens, cached, idealCached, ids] = [0, 0, 0, 0, 0];
  const events: { readonly at: number; readonly run: () => void }[] = [];
  const later = (at: number, run: () => void) => events.push({ at, run });
  const asked = new Map<string, Conversation>();
  const lasting = (mean: number) => -Math.log(1 - random()) * mean;

  const ask = (conversation: Conversation) => {
    const userTokens = 32 + Math.round(lasting(48));
    conversation.messages.push({ role: 'user', content: `${conversation.id} asks ${conversation.turn}` });
    conversation.tokens += userTokens;
    const id = `e${ids++}`;
    asked.set(id, conversation);
    const prefix = fingerprintOf({ kind: 'chat', messages: conversation.messages }, undefined);
    scheduler.enqueue(entry(id, { prefix, promptTokens: conversation.tokens, maxTokens: 100 }), now);
  };
  const start = (id: string, target: string) => {
    const conversation = asked.get(id);
    if (conversation === undefined) return;
    const blocks = blocksOf(conversation);
    const hit = caches.get(target)?.use(blocks) ?? 0;
    cached += hit;
    idealCached += ideal.use(blocks);
    promptTokens += conversation.tokens;
    running.set(target, (running.get(target) ?? 0) + 1);
    const answerTokens = 20 + Math.round(lasting(80));
    later(now + (conversation.tokens - hit) * 1 + answerTokens * 20, () => {
      running.set(target, (running.get(target) ?? 0) - 1);
      const used = { promptTokens: conversation.tokens, cachedTokens: hit, answerTokens };
      scheduler.release(id, { outcome: 'completed', firstTokenMs: 1, ...used }, now);
      conversation.messages.push({ role: 'assistant', content: 'an answer' });
      conversation.tokens += answerTokens;
      conversation.turn += 1;
      if (conversation.turn < TURNS) later(now + lasting(8000), () => ask(conversation));
    });
  };
  for (let id = 0; id < CONVERSATIONS; id += 1) {
    const messages: Message[] = [{ role: 'system', content: 'The same for all.' }];
    later(lasting(20_000), () => ask({ id, messages, tokens: SYSTEM_TOKENS, turn: 0 }));
  }
  if (away) {
    later(away.from, () => set('m/vllm/2', 'down', now));
    later(away.to, () => {
      caches.get('m/vllm/2')?.clear();
      set('m/vllm/2', 'ready', now);
    });
  }
  while (events.length > 0) {
    let next = 0;
    for (let index = 1; index < events.length; index += 1)
      if ((events[index]?.at ?? 0) < (events[next]?.at ?? 0)) next = index;
    const [event] = events.splice(next, 1);
    if (event === undefined) break;
    for (const [id, count] of running) busy.set(id, (busy.get(id) ?? 0) + count * (event.at - now));
    now = event.at;
    event.run();
    for (const decision of scheduler.tick(now))
      if (decision.type === 'dispatch')
        for (const { id, target } of decision.batch.members) start(id, target);
  }
  const loads = [...busy.values()];
  const mean = loads.reduce((sum, load) => sum + load, 0) / loads.length;
  return {
    hits: cached / promptTokens,
    ideal: idealCached / promptTokens,
    imbalance: Math.max(...loads) / mean,
  };
}

/** The system prompt is the same for all, what follows is the conversation's own. */
function blocksOf({ id, tokens }: Conversation): string[] {
  const system = SYSTEM_TOKENS / BLOCK_TOKENS;
  return Array.from({ length: Math.floor(tokens / BLOCK_TOKENS) }, (_, index) =>
    index < system ? `system ${index}` : `${id} ${index}`,
  );
}

function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 0x1_0000_0000;
  };
}

describe('200 conversations over four targets', () => {
  it.each([1, 2, 3, 4, 5])('find what they have cached, and load all alike, seed %i', (seed) => {
    const { hits, ideal, imbalance } = simulate({ prefixAffinity: true, seed, slots: 16 });
    expect(hits / ideal).toBeGreaterThan(0.9);
    expect(imbalance).toBeLessThan(1.25);
  });

  it.each([1, 2, 3])('do so when one of them leaves and comes back with an empty cache, seed %i', (seed) => {
    const away = { from: 25_000, to: 40_000 };
    const { hits, ideal } = simulate({ prefixAffinity: true, seed, slots: 16, away });
    expect(hits / ideal).toBeGreaterThan(0.9);
  });

  it('have more cached than without affinity', () => {
    const spread = simulate({ prefixAffinity: false, seed: 1, slots: 16 });
    expect(spread.hits / spread.ideal).toBeLessThan(0.9);
  });

  it('find most of it even while all slots are in use and requests wait', () => {
    const full = simulate({ prefixAffinity: true, seed: 1, slots: 4 });
    const spread = simulate({ prefixAffinity: false, seed: 1, slots: 4 });
    expect(full.hits / full.ideal).toBeGreaterThan(spread.hits / spread.ideal + 0.05);
  });
});
