/** What the figures and the columns of the tables mean. */
import type { LiveSums } from '../../src/core/live-snapshot.ts';
import { hasObjectives, objectivesInWords } from './words.ts';

export function Glossary({ sums }: { readonly sums: LiveSums }) {
  return (
    <details class="live-glossary">
      <summary>What the figures mean</summary>
      <dl class="live-facts">
        <dt>Goodput</dt>
        <dd>
          {hasObjectives(sums)
            ? `Of the finished requests, the part that met the objectives: ${objectivesInWords(sums)}.`
            : 'Of the finished requests, the part that met the objectives. This server has none (objectives in its configuration), so it is not shown.'}
        </dd>
        {MEANINGS.map(([name, meaning]) => (
          <>
            <dt>{name}</dt>
            <dd>{meaning}</dd>
          </>
        ))}
      </dl>
    </details>
  );
}

const MEANINGS: readonly (readonly [name: string, meaning: string])[] = [
  ['Finished', 'Requests that were answered in full.'],
  ['Tokens of prompts, cached', 'The part that the backend had evaluated before and did not have to again.'],
  ['Queue', 'How long a request waited for slots, in all its tries.'],
  ['First token', 'From the arrival of a request to the first token of its answer, the wait included.'],
  ['Between tokens', 'From one token of a streamed answer to the next.'],
  ['Median, p90, p99', 'Half, 90 % and 99 % of the requests took so long at most; within 4 %.'],
  ['Cancelled', 'Its client left before the end.'],
  ['Failed', 'Answered with an error, after all tries.'],
  ['Rejected', 'Answered 429 or 503: too many requests, a full queue, no slot in time.'],
  ['Slots', 'Requests that a target may work on at one time, and how many it has now.'],
  [
    'Leased',
    'Where several servers share a target: how many of its slots this one may give now. The even share is what it uses while the store of leases is away.',
  ],
  [
    'Tokens in flight',
    'Prompt and expected answer of the requests in the slots: what the target has to hold in memory.',
  ],
  [
    'Ejected',
    'How often a target was taken out of service after failures, by cause. It comes back after a trial.',
  ],
];
