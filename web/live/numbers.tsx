/** The figures over the server's window: how much, how fast, and what was turned away. */
import type { ComponentChildren } from 'preact';
import type { LivePercentiles, LiveSnapshot } from '../../src/core/live-snapshot.ts';
import { duration, hasObjectives, number, objectivesInWords, percent, spaced } from './words.ts';

export function Numbers({ snapshot }: { readonly snapshot: LiveSnapshot }) {
  const { sums, scope } = snapshot;
  const seconds = Math.max(1, sums.window_seconds);
  const rejected = Object.entries(sums.rejected).sort(([, a], [, b]) => b - a);
  return (
    <section aria-labelledby="live-numbers">
      <h2 id="live-numbers">
        Last {duration(sums.window_seconds * 1_000)}
        {scope === 'own' && <small> of all clients</small>}
      </h2>
      <dl class="live-numbers">
        {hasObjectives(sums) && (
          <Figure
            name="goodput"
            label="Goodput"
            note={`${number(sums.within_objectives)} with ${objectivesInWords(sums)}`}
          >
            {percent(sums.within_objectives, sums.finished)}
          </Figure>
        )}
        <Figure name="finished" label="Finished" note={`${number(sums.finished / seconds)} a second`}>
          {number(sums.finished)}
        </Figure>
        <Figure
          name="completion_tokens"
          label="Tokens of answers"
          note={`${number(sums.completion_tokens / seconds)} a second`}
        >
          {number(sums.completion_tokens)}
        </Figure>
        <Figure
          name="prompt_tokens"
          label="Tokens of prompts"
          note={`${percent(sums.cached_tokens, sums.prompt_tokens)} cached`}
        >
          {number(sums.prompt_tokens)}
        </Figure>
        <Percentiles name="queue" label="Queue" of={sums.queue_ms} />
        <Percentiles name="ttft" label="First token" of={sums.ttft_ms} />
        <Percentiles name="inter_token" label="Between tokens" of={sums.inter_token_ms} />
        <Figure name="cancelled" label="Cancelled">
          {number(sums.cancelled)}
        </Figure>
        <Figure name="failed" label="Failed" alarming={sums.failed > 0}>
          {number(sums.failed)}
        </Figure>
        <Figure
          name="rejected"
          label="Rejected"
          alarming={rejected.length > 0}
          note={rejected.map(([code, count]) => `${number(count)} ${spaced(code)}`).join(', ')}
        >
          {number(rejected.reduce((sum, [, count]) => sum + count, 0))}
        </Figure>
      </dl>
    </section>
  );
}

interface FigureProps {
  /** For tests and scripts that read the page. */
  readonly name: string;
  readonly label: string;
  readonly note?: string;
  readonly alarming?: boolean;
  readonly children: ComponentChildren;
}

function Figure({ name, label, note = '', alarming = false, children }: FigureProps) {
  return (
    <div class={alarming ? 'figure alarming' : 'figure'}>
      <dt>{label}</dt>
      <dd data-figure={name}>{children}</dd>
      {note !== '' && <dd class="note">{note}</dd>}
    </div>
  );
}

function Percentiles(props: {
  readonly name: string;
  readonly label: string;
  readonly of: LivePercentiles | null;
}) {
  const { name, label, of } = props;
  return (
    <Figure
      name={name}
      label={`${label}, median`}
      note={of === null ? 'nothing measured' : `p90 ${duration(of.p90)} · p99 ${duration(of.p99)}`}
    >
      {duration(of?.p50)}
    </Figure>
  );
}
