/** What remains now of each limit that somebody has used. */
import { useState } from 'preact/hooks';
import { type LimitState, listLimits, MOST_LIMIT_PAGES } from './api.ts';
import { useCurrency } from './currency.ts';
import { Filter } from './filter.tsx';
import { LimitBars } from './limit-bars.tsx';
import { Loaded, useResource } from './loaded.tsx';
import { fits, scopeInWords, shareUsed, tightestFirst } from './words.ts';

const POLL_MS = 3_000;
const MAX_SCOPES = 100;
/** What the server gives at once. */
const KEYS_A_PAGE = 1_000;

export function LimitsSection() {
  const asked = useResource(listLimits, { pollMs: POLL_MS });
  const [filter, setFilter] = useState('');
  return (
    <section aria-labelledby="admin-limits">
      <div class="admin-head">
        <h2 id="admin-limits">Limits</h2>
        <Filter label="Filter limits" value={filter} onInput={setFilter} />
      </div>
      <Loaded asked={asked}>
        {({ states, isCut }) => (
          <>
            {states.length === 0 && !isCut ? <NoLimits /> : <Scopes states={states} filter={filter} />}
            {isCut && <Cut />}
          </>
        )}
      </Loaded>
    </section>
  );
}

function Cut() {
  const keys = (MOST_LIMIT_PAGES * KEYS_A_PAGE).toLocaleString('en');
  return (
    <p class="hint">Of the first {keys} keys and their teams. Open a key under Keys to see its limits.</p>
  );
}

function NoLimits() {
  return (
    <div class="admin-empty">
      <p>No limit is in use. Give keys and teams limits in the configuration, or a key its own:</p>
      <pre>
        <code>{'limits:\n  per_key: { requests_per_minute: 60, tokens_per_day: 1000000 }'}</code>
      </pre>
      <p>
        <code>llm-serve keys create --name alice --requests-per-minute 60</code>
      </p>
    </div>
  );
}

function Scopes({ states, filter }: { readonly states: readonly LimitState[]; readonly filter: string }) {
  const currency = useCurrency();
  const scopes = new Map<string, LimitState[]>();
  for (const state of states)
    if (fits(filter, scopeInWords(state.scope), state.name))
      scopes.set(state.scope, [...(scopes.get(state.scope) ?? []), state]);
  const tightest = (each: readonly LimitState[]) => Math.max(...each.map(shareUsed));
  const sorted = [...scopes].sort(([, one], [, other]) => tightest(other) - tightest(one));
  if (sorted.length === 0) return <p class="notice">No limit fits the filter.</p>;
  return (
    <>
      <div class="admin-cards">
        {sorted.slice(0, MAX_SCOPES).map(([scope, each]) => (
          <section key={scope} class="admin-card" aria-label={scopeInWords(scope)}>
            <h3>{scopeInWords(scope)}</h3>
            <LimitBars states={tightestFirst(each)} currency={currency} />
          </section>
        ))}
      </div>
      {sorted.length > MAX_SCOPES && (
        <p class="hint">and {sorted.length - MAX_SCOPES} more: filter to see them.</p>
      )}
    </>
  );
}
