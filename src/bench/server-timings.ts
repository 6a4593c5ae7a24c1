/** A server's own figures of a request's time, from the header Server-Timing and from the `timings` of a body, in one shape. */
import type { ServerTimings } from './record.ts';

/** Name in the header or body → field. llama-server's prompt_ms is the evaluation of the prompt. */
const FIELDS: Readonly<Record<string, keyof ServerTimings>> = {
  queue: 'queueMs',
  queue_ms: 'queueMs',
  upstream: 'upstreamMs',
  upstream_ms: 'upstreamMs',
  gateway: 'gatewayMs',
  gateway_ms: 'gatewayMs',
  prompt_ms: 'promptMs',
};

/** `queue;dur=12.3, upstream;dur=80`; what it does not know is left out. */
export function readServerTiming(header: string | undefined): ServerTimings | undefined {
  if (header === undefined) return undefined;
  const entries = header.split(',').flatMap((entry): [string, number][] => {
    const [, name = '', duration] = /^\s*([\w-]+)\s*;.*?\bdur=([\d.]+)/.exec(entry) ?? [];
    return duration === undefined ? [] : [[name, Number(duration)]];
  });
  return timingsFrom(entries);
}

export function readTimings(value: unknown): ServerTimings | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  return timingsFrom(Object.entries(value));
}

function timingsFrom(entries: readonly (readonly [string, unknown])[]): ServerTimings | undefined {
  const known = entries.flatMap(([name, value]) => {
    const field = FIELDS[name];
    return field !== undefined && typeof value === 'number' && Number.isFinite(value) ? [[field, value]] : [];
  });
  return known.length === 0 ? undefined : (Object.fromEntries(known) as ServerTimings);
}
