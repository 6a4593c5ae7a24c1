/** What all clients ask, and what they check beside their answers. Short, for the real model answers too. */
import { expect } from 'vitest';
import { z } from 'zod';
import type { Served } from './client-suite.ts';

/** The stand-ins and the real model alike say that it is Paris, and end by themselves. */
export const QUESTION = 'What is the capital of France?';

/** The words that make the stand-ins call the tool. */
export const TOOL_QUESTION = 'Call for the weather in Paris.';

export const TOOL_NAME = 'get_weather';

export const TOOL_DESCRIPTION = 'The weather of a city.';

export const WeatherArguments = z.object({ city: z.enum(['Paris', 'Rome']) });

export const WEATHER = 'It is sunny.';

export const City = z.object({ city: z.enum(['Paris', 'Rome']), large: z.boolean() });

/** One red pixel. */
export const PICTURE_BASE64 =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==';

export const PICTURE = `data:image/png;base64,${PICTURE_BASE64}`;

export const LONG_QUESTION = 'Tell me a very long story about the sea and a ship.';

const WITHIN = { timeout: 60_000, interval: 10 };

/** That whoever left in the middle, as `leave` does, was seen to leave, and takes up no slot. */
export async function expectSlotFreed(served: Served, leave: () => Promise<void>): Promise<void> {
  const before = await served.cancelled();
  await leave();
  await expect.poll(() => served.cancelled(), WITHIN).toBe(before + 1);
  await expect.poll(() => served.slotsUsed(), WITHIN).toBe(0);
}

/** Runs while the backend fails in the middle of its answers. */
export async function whileFailing(served: Served, run: () => Promise<void>): Promise<void> {
  const restore = await served.failMidStream?.();
  try {
    await run();
  } finally {
    await restore?.();
  }
}

export async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const all: Item[] = [];
  for await (const item of items) all.push(item);
  return all;
}

export interface WatchedFetch {
  readonly fetch: typeof globalThis.fetch;
  /** The status of each answer, in their order. */
  readonly statuses: readonly number[];
}

/** A fetch that comes from an address of its own, as the rate limit sees it. */
export function watchedFetch(): WatchedFetch {
  const statuses: number[] = [];
  const address = ownAddress();
  return {
    statuses,
    fetch: async (input, init) => {
      const headers = new Headers(init?.headers);
      headers.set('x-forwarded-for', address);
      const answer = await fetch(input, { ...init, headers });
      statuses.push(answer.status);
      return answer;
    },
  };
}

export function ownAddress(): string {
  const byte = () => Math.floor(Math.random() * 256);
  return `10.${byte()}.${byte()}.${byte()}`;
}
