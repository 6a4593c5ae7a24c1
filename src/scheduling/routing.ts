/**
 * Which of a model's targets gets a request: one pure function for each policy. The lowest score gets it; of equals the first.
 */
import type { ServerLoad } from './server-load.ts';

/** What a policy sees of a target that has room. */
export interface RoutableTarget {
  /** Relative to the model's other targets. */
  readonly weight: number;
  readonly slots: number;
  /** Requests of this model that run there. */
  readonly used: number;
  /** Estimated tokens of those. */
  readonly tokensInFlight: number;
  /** Requests that it has got so far, as if it had always been there. */
  readonly turns: number;
  /** Of its server, which may serve other models too. */
  readonly server: ServerLoad;
}

export interface RoutingContext {
  /** Mean of the model's requests that run; tokens. */
  readonly tokensPerRequest: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

export type RoutingPolicy = (target: RoutableTarget, context: RoutingContext) => number;

/** Requests at the target's server, also those of other clients of it. Ours count half by their number and half by their tokens. */
export function requestsAt({ server }: RoutableTarget, { tokensPerRequest }: RoutingContext): number {
  const { requests, tokens, foreign } = server;
  return foreign + (tokensPerRequest > 0 ? (requests + tokens / tokensPerRequest) / 2 : requests);
}

/**
 * The next turn of a target: the middle of its next share. A target that is behind its share has the lowest: so shares hold over time, and
 * turns alternate as evenly as they can.
 */
export function nextTurn({ turns, weight }: RoutableTarget): number {
  return (turns + 0.5) / weight;
}

/**
 * Part of the slots in use, and of the KV cache where it is reported. A request that waits at the server counts twice: it delays
 * every one that comes after it.
 */
function loadOf(target: RoutableTarget, context: RoutingContext): number {
  const { slots, weight, server } = target;
  const busy = requestsAt(target, context) / slots;
  return (busy + server.waiting / slots + (server.kvCacheUsed ?? busy)) / weight;
}

export const ROUTING_POLICIES = {
  load: loadOf,
  weighted: nextTurn,
  'fewest-tokens': ({ tokensInFlight, weight }) => tokensInFlight / weight,
  // The first of several random arrivals, each with the weight as its rate: it is this target with a probability in proportion to it.
  random: ({ weight }, { random }) => -Math.log(1 - random()) / weight,
} as const satisfies Record<string, RoutingPolicy>;

export type RoutingMode = keyof typeof ROUTING_POLICIES;

export interface RoutingOptions {
  readonly policy: RoutingMode;
  /** Prompts with the same beginning go to the same target. */
  readonly prefixAffinity: boolean;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

export const DEFAULT_ROUTING: RoutingMode = 'load';

export const ROUTING_DESCRIPTIONS: Readonly<Record<RoutingMode, string>> = {
  load: 'the one with the least to do for its slots and weight, by our own requests and what its server reports',
  weighted: 'each its share by weight, whatever it has to do',
  'fewest-tokens': 'the one with the fewest tokens in flight for its weight',
  random: 'any, by weight',
};
