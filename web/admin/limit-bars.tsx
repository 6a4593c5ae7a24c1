/** Limits as bars: how much of each window is used now. The words beside a bar say the same. */
import type { LimitState } from './api.ts';
import { amount, limitName, shareUsed, soon } from './words.ts';

/** From here on a limit is nearly used up. */
const NEARLY = 0.9;

interface LimitBarsProps {
  readonly states: readonly LimitState[];
  readonly currency: string;
}

export function LimitBars({ states, currency }: LimitBarsProps) {
  return (
    <ul class="admin-bars">
      {states.map((state) => (
        <LimitBar key={`${state.scope} ${state.name}`} state={state} currency={currency} />
      ))}
    </ul>
  );
}

function LimitBar({ state, currency }: { readonly state: LimitState; readonly currency: string }) {
  const used = shareUsed(state);
  const isUsedUp = state.remaining <= 0;
  const words = isUsedUp ? 'used up' : `${amount(state.remaining)} of ${amount(state.limit)} left`;
  return (
    <li>
      <span class="admin-bar-name">{limitName(state.name, currency)}</span>
      <svg class={used >= NEARLY ? 'admin-bar nearly' : 'admin-bar'} aria-hidden="true" focusable="false">
        <rect class="whole" width="100%" height="100%" rx="3" />
        <rect class="used" width={`${used * 100}%`} height="100%" rx="3" />
      </svg>
      <span class="admin-bar-words">
        {words}
        {state.resets_at !== null && (
          <small>
            {isUsedUp ? ', again at ' : ', until '}
            {soon(state.resets_at, Date.now())} UTC
          </small>
        )}
      </span>
    </li>
  );
}
