/** Metrics of usage: by team, and whether it reaches the store. Read when they are scraped. */
import type { UsageMeasures } from '../core/usage-measures.ts';
import type { MetricFamily, Sample } from './prometheus.ts';

export interface UsageSource {
  /** By the team's name, of a bounded number of teams; empty: none. */
  teams(): ReadonlyMap<string, UsageMeasures>;
  /** Rows that are not in the store yet. */
  readonly unwritten: number;
  /** Rows that found no room, one for each request. */
  readonly dropped: number;
}

const PREFIX = 'llm_serve_usage_';
const NANO = 1e9;

export function usageFamilies(source: UsageSource): readonly MetricFamily[] {
  const ofTeam = (name: string, help: string, read: (sums: UsageMeasures) => number): MetricFamily => ({
    name: PREFIX + name,
    help,
    type: 'counter',
    samples: () => [...source.teams()].map(([team, sums]) => ({ labels: { team }, value: read(sums) })),
  });
  const one = (name: string, type: MetricFamily['type'], help: string, read: () => number): MetricFamily => ({
    name: PREFIX + name,
    help,
    type,
    samples: (): readonly Sample[] => [{ labels: {}, value: read() }],
  });
  const byTeam = 'by team: the first 50, then other; no label: requests without a team.';
  return [
    ofTeam('requests_total', `Requests to models, ${byTeam}`, ({ requests }) => requests),
    ofTeam('errors_total', `Requests that failed, ${byTeam}`, ({ errors }) => errors),
    ofTeam(
      'rejections_total',
      `Requests that a limit, a budget or a full queue refused, ${byTeam}`,
      ({ rejections }) => rejections,
    ),
    ofTeam(
      'prompt_tokens_total',
      `Prompt tokens of all tries, failed ones too, ${byTeam}`,
      ({ promptTokens }) => promptTokens,
    ),
    ofTeam(
      'cached_tokens_total',
      `Of the prompt tokens, those that the backend had cached, ${byTeam}`,
      ({ cachedTokens }) => cachedTokens,
    ),
    ofTeam(
      'completion_tokens_total',
      `Completion tokens of all tries, failed ones too, ${byTeam}`,
      ({ completionTokens }) => completionTokens,
    ),
    ofTeam(
      'cost_total',
      `What the tokens cost by prices, in units of prices.currency, ${byTeam}`,
      ({ costNano }) => costNano / NANO,
    ),
    ofTeam('slot_seconds_total', `Time that slots were held, ${byTeam}`, ({ slotMs }) => slotMs / 1000),
    one('rows_unwritten', 'gauge', 'Rows of usage that are not in the store yet.', () => source.unwritten),
    one(
      'rows_dropped_total',
      'counter',
      'Rows of usage that found no room (usage.max_rows) while the store could not be written, counted with each request.',
      () => source.dropped,
    ),
  ];
}
