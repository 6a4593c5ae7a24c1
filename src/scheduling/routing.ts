/**
 * Which of a model's targets gets a request: one pure function for each policy. The lowest score gets it; of equals the first.
 */

/** What a policy sees of a target that has room. */
export interface RoutableTarget {
  /** Relative to the model's other targets. */
  readonly weight: number;
  readonly slots: number;
  /** Our own requests that run there. */
  readonly used: number;
  /** Estimated tokens of those. */
  readonly tokensInFlight: number;
}

export type RoutingPolicy = (target: RoutableTarget, random: () => number) => number;

export const ROUTING_POLICIES = {
  load: ({ used, slots, weight }) => used / (slots * weight),
  'fewest-tokens': ({ tokensInFlight, weight }) => tokensInFlight / weight,
  weighted: ({ used, weight }) => used / weight,
  random: (_, random) => random(),
} as const satisfies Record<string, RoutingPolicy>;

export type RoutingMode = keyof typeof ROUTING_POLICIES;

export const DEFAULT_ROUTING: RoutingMode = 'load';

export const ROUTING_DESCRIPTIONS: Readonly<Record<RoutingMode, string>> = {
  load: 'the one with the least to do for its slots',
  'fewest-tokens': 'the one with the fewest tokens in flight',
  weighted: 'by weight alone',
  random: 'any',
};
