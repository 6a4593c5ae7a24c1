/** One request: where its time went, its tries, its batch, its tokens. Shown while it runs, and complete when its receipt is there. */
import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { type LiveReceipt, WAITING_WORDS } from '../../src/core/live-snapshot.ts';
import { useStore } from '../state/store.ts';
import { tokenRate, tokensPerSecond } from '../ui/amounts.ts';
import { Icon } from '../ui/icons.tsx';
import type { Bar } from './bars.ts';
import { feed } from './feed.ts';
import { LANES_ID } from './lane-canvas.tsx';
import { type Span, spansOf } from './receipt-spans.ts';
import { edgeNow, pause, selection } from './view-state.ts';
import { duration, number, outcomeInWords, plural, spaced, stateInWords } from './words.ts';

export function ReceiptPanel() {
  const chosen = useStore(selection);
  const isPaused = useStore(pause) !== undefined;
  const panel = useRef<HTMLElement>(null);
  const heading = useRef<HTMLHeadingElement>(null);
  const bar = chosen !== undefined && 'bar' in chosen ? chosen.bar : undefined;
  // Until its receipt is there it changes with each snapshot.
  useStore(feed.snapshot, (snapshot) => bar?.receipt ?? (isPaused ? undefined : snapshot));
  useEffect(() => {
    if (chosen === undefined || chosen.from === 'keys') return;
    // A row of a table may be screens below the receipt.
    if (chosen.from === 'pointer') panel.current?.scrollIntoView({ block: 'nearest' });
    else {
      heading.current?.focus({ preventScroll: true });
      heading.current?.scrollIntoView({ block: 'nearest' });
    }
  }, [chosen]);
  if (chosen === undefined) return null;
  const receipt = 'bar' in chosen ? chosen.bar.receipt : chosen.receipt;
  const close = () => {
    selection.set(undefined);
    const { from } = chosen;
    const back = from instanceof HTMLElement && from.isConnected ? from : document.getElementById(LANES_ID);
    back?.focus();
  };
  return (
    <aside
      class="live-receipt"
      aria-labelledby="live-receipt"
      ref={panel}
      onKeyDown={(event) => event.key === 'Escape' && close()}
    >
      <header>
        <h2 id="live-receipt" tabIndex={-1} ref={heading}>
          {receipt === null ? 'Request' : 'Receipt'}
        </h2>
        <button type="button" class="icon-button" aria-label="Close the receipt" onClick={close}>
          <Icon name="close" />
        </button>
      </header>
      {receipt === null && bar !== undefined ? <UnderWay bar={bar} /> : null}
      {receipt !== null && <Complete receipt={receipt} />}
    </aside>
  );
}

function UnderWay({ bar }: { readonly bar: Bar }) {
  const now = edgeNow();
  return (
    <>
      <dl class="live-facts">
        <Fact name="State">{stateInWords(bar, now)}</Fact>
        {bar.reason !== null && <Fact name="Why">{WAITING_WORDS[bar.reason]}</Fact>}
        {bar.expiresAt !== null && <Fact name="Gives up in">{duration(bar.expiresAt - now)}</Fact>}
        <Fact name="Request">
          <code>{bar.requestId}</code>
        </Fact>
        <Fact name="Model">{bar.model}</Fact>
        {bar.target !== null && <Fact name="Target">{bar.target}</Fact>}
        {bar.priority !== null && <Fact name="Priority">{bar.priority}</Fact>}
        <Fact name="Client">
          <code>{bar.client}</code>
        </Fact>
        {bar.attempt > 1 && <Fact name="Try">{bar.attempt}</Fact>}
        {bar.batch !== null && <Fact name="Batch">{batchInWords(bar.batch)}</Fact>}
        <Fact name="Tokens">
          {number(bar.promptTokens)} of the prompt, {number(bar.tokens)} of the answer so far
        </Fact>
      </dl>
      <TimeBar spans={spansOf(bar, now)} />
    </>
  );
}

function Complete({ receipt }: { readonly receipt: LiveReceipt }) {
  const { timings, attempts } = receipt;
  const last = attempts.at(-1);
  return (
    <>
      <dl class="live-facts">
        <Fact name="Answer">
          {receipt.status}
          {receipt.error_code !== null && ` ${receipt.error_code}`}
          {receipt.finish_reason !== null && `, ended by ${spaced(receipt.finish_reason)}`}
        </Fact>
        <Fact name="Request">
          <code>{receipt.request_id}</code>
        </Fact>
        <Fact name="Route">
          <code>{receipt.route}</code>
        </Fact>
        <Fact name="Model">
          {receipt.model}
          {receipt.served_model !== null &&
            receipt.served_model !== receipt.model &&
            `, answered by ${receipt.served_model}`}
        </Fact>
        {receipt.priority !== null && <Fact name="Priority">{receipt.priority}</Fact>}
        <Fact name="Client">
          <code>{receipt.client}</code>
        </Fact>
        {last !== undefined && <Fact name="Batch">{batchInWords(last.batch)}</Fact>}
        <Fact name="Tokens">
          {number(receipt.prompt_tokens)} of the prompt
          {(receipt.cached_tokens ?? 0) > 0 && ` (${number(receipt.cached_tokens)} cached)`},{' '}
          {number(receipt.completion_tokens)} of the answer{pace(receipt)}
        </Fact>
      </dl>
      <TimeBar spans={spansOf(receipt)} />
      {timings !== null && (
        <table class="table">
          <caption>Timings</caption>
          <tbody>
            {Object.entries(timings).map(([name, ms]) => (
              <tr key={name}>
                <th scope="row">
                  <code>{name}</code>
                </th>
                <td class="figure-cell" data-timing={name}>
                  {ms}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {attempts.length > 0 && (
        <table class="table">
          <caption>{plural(attempts.length, 'try', 'tries')}</caption>
          <thead>
            <tr>
              <th scope="col">Target</th>
              <th scope="col">Waited</th>
              <th scope="col">Ran</th>
              <th scope="col">Outcome</th>
            </tr>
          </thead>
          <tbody>
            {attempts.map((attempt) => (
              <tr key={`${attempt.target} ${attempt.enqueued_at_ms}`}>
                <td>
                  {attempt.target}
                  {attempt.kind !== null && <small> {spaced(attempt.kind)}</small>}
                </td>
                <td class="figure-cell">{duration(attempt.started_at_ms - attempt.enqueued_at_ms)}</td>
                <td class="figure-cell">
                  {duration((attempt.ended_at_ms ?? receipt.ended_at_ms) - attempt.started_at_ms)}
                </td>
                <td>{outcomeInWords(attempt.outcome ?? 'unknown')}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </>
  );
}

function pace({ timings, completion_tokens }: LiveReceipt): string {
  const rate = tokensPerSecond(completion_tokens, timings?.generate_ms);
  return rate === undefined ? '' : `, ${tokenRate(rate)}`;
}

function batchInWords({ id, size }: { readonly id: string; readonly size: number }): string {
  return size === 1 ? `${id}, alone` : `${id}, of ${size}`;
}

function Fact({ name, children }: { readonly name: string; readonly children: ComponentChildren }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  );
}

const HEIGHT = 26;
const WIDTH = 400;

/** Each part in its share of the time, with its length in words below. */
function TimeBar({ spans }: { readonly spans: readonly Span[] }) {
  const total = spans.reduce((sum, { ms }) => sum + ms, 0);
  if (total <= 0) return null;
  let from = 0;
  return (
    <figure class="live-time">
      <svg
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`Time: ${duration(total)}`}
      >
        {spans.map(({ kind, ms }, at) => {
          const x = from;
          from += (ms / total) * WIDTH;
          return <rect key={at} class={kind} x={x} width={Math.max(0.5, from - x)} height={HEIGHT} />;
        })}
      </svg>
      <figcaption>
        {spans.map(({ kind, name, ms }, at) => (
          <span key={at}>
            <i class={`chip ${kind}`} /> {name} {duration(ms)}
          </span>
        ))}
      </figcaption>
    </figure>
  );
}
