/** The Live view: what the server is doing now. */
import { useEffect, useState } from 'preact/hooks';
import type { LiveSnapshot } from '../../src/core/live-snapshot.ts';
import { apiUrl } from '../api/request.ts';
import { adminKey, apiKey, openKeys } from '../state/api-key.ts';
import { useStore } from '../state/store.ts';
import { CopyButton } from '../ui/copy-button.tsx';
import { Charts } from './charts.tsx';
import { type FeedState, feed } from './feed.ts';
import { Glossary } from './glossary.tsx';
import { LaneCanvas } from './lane-canvas.tsx';
import { Legend } from './legend.tsx';
import { Numbers } from './numbers.tsx';
import { ReceiptPanel } from './receipt.tsx';
import { EndedTable, QueueTable, TargetsTable } from './tables.tsx';
import {
  lookBack,
  mostBack,
  type Pause,
  pause,
  RANGES,
  range,
  selection,
  togglePause,
} from './view-state.ts';
import { duration, hasObjectives, summary } from './words.ts';

/** Figures and tables follow more slowly than the lanes: text that changes four times a second cannot be read. */
const TEXT_MS = 500;
/** For screen readers. */
const SUMMARY_MS = 15_000;

export function LiveView() {
  useEffect(() => feed.use(), []);
  const paused = useStore(pause);
  const newest = useThrottled(paused !== undefined);
  const snapshot = paused?.snapshot ?? newest;
  const ended = paused?.ended ?? feed.ended.get();
  const selected = useStore(selection) !== undefined;
  return (
    <div class="live">
      <h1 class="visually-hidden">Live</h1>
      <Toolbar paused={paused} />
      {snapshot === undefined ? (
        <p class="notice">Waiting for the first snapshot …</p>
      ) : (
        <>
          {snapshot.scope === 'own' && <OwnRequests />}
          {isUnused() && <HowToMakeTraffic />}
          <div class={selected ? 'live-main with-receipt' : 'live-main'}>
            <section aria-label="Lanes" class="live-picture">
              <LaneCanvas />
              <Legend />
            </section>
            <ReceiptPanel />
          </div>
          <Numbers snapshot={snapshot} />
          <Charts withObjectives={hasObjectives(snapshot.sums)} />
          <TargetsTable snapshot={snapshot} />
          <QueueTable snapshot={snapshot} />
          <EndedTable ended={ended} />
          <Glossary sums={snapshot.sums} />
          <Summary />
        </>
      )}
    </div>
  );
}

function isUnused(): boolean {
  return feed.bars.size === 0 && feed.ended.get().length === 0;
}

function OwnRequests() {
  const hasKey = [useStore(apiKey), useStore(adminKey)].some((key) => key !== undefined);
  return (
    <p class="hint">
      The lanes, the queue and the list show the requests of {hasKey ? 'your key' : 'your address'}; the
      figures are of all clients. An admin key (<code>auth.admin_keys</code>) shows all requests.{' '}
      <button type="button" class="button small" onClick={() => openKeys('admin')}>
        Enter an admin key
      </button>
    </p>
  );
}

/** The newest snapshot, not more often than people read, and none while the picture stands still. */
function useThrottled(isPaused: boolean): LiveSnapshot | undefined {
  const [snapshot, set] = useState(feed.snapshot.get());
  useEffect(() => {
    if (isPaused) return undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let hasTaken = false;
    const take = () => {
      const newest = feed.snapshot.get();
      timer = undefined;
      hasTaken = newest !== undefined;
      set(newest);
    };
    take();
    const stop = feed.snapshot.subscribe(() => {
      if (feed.snapshot.get() === undefined) {
        clearTimeout(timer);
        take();
      } else timer ??= setTimeout(take, hasTaken ? TEXT_MS : 0);
    });
    return () => {
      stop();
      clearTimeout(timer);
    };
  }, [isPaused]);
  return snapshot;
}

function Toolbar({ paused }: { readonly paused: Pause | undefined }) {
  const chosen = useStore(range);
  const hasData = useStore(feed.snapshot, (snapshot) => snapshot !== undefined);
  return (
    <div class="live-toolbar">
      <ConnectionState paused={paused !== undefined} />
      {paused !== undefined && <LookBack paused={paused} />}
      <fieldset class="live-ranges">
        <legend class="visually-hidden">Time range</legend>
        {RANGES.map(({ ms, label }) => (
          <button
            key={ms}
            type="button"
            class="button small"
            aria-pressed={ms === chosen}
            onClick={() => range.set(ms)}
          >
            {label}
          </button>
        ))}
      </fieldset>
      <button
        type="button"
        class="button small"
        aria-pressed={paused !== undefined}
        disabled={!hasData}
        onClick={togglePause}
      >
        {paused === undefined ? 'Pause' : 'Go on'}
      </button>
    </div>
  );
}

const BACK_STEP_MS = 50;

/** Moves the lanes through what is kept; figures and tables stay those of where it stopped. */
function LookBack({ paused }: { readonly paused: Pause }) {
  const back = paused.stoppedAt - paused.edge;
  // A slider counts its steps from its least value.
  const most = Math.floor(mostBack(paused) / BACK_STEP_MS) * BACK_STEP_MS;
  return (
    <label class="live-back">
      Lanes {back === 0 ? 'up to here' : `${duration(back)} earlier`}
      <input
        type="range"
        min={-most}
        max={0}
        step={BACK_STEP_MS}
        value={-back}
        onInput={(event) => lookBack(-Number(event.currentTarget.value))}
      />
    </label>
  );
}

function ConnectionState({ paused }: { readonly paused: boolean }) {
  const state = useStore(feed.state);
  const version = useStore(feed.snapshot, (snapshot) => snapshot?.version);
  if (state.kind === 'lost') return <Lost state={state} />;
  const words = paused ? 'Paused' : WORDS[state.kind];
  return (
    <p class={`live-state is-${paused ? 'paused' : state.kind}`} role="status">
      <i aria-hidden="true" /> {words}
      {version !== undefined && <small> version {version}</small>}
    </p>
  );
}

const WORDS = {
  connecting: 'Connecting …',
  live: 'Live',
  hidden: 'Stopped while the tab is hidden',
} as const;

function Lost({ state }: { readonly state: Extract<FeedState, { kind: 'lost' }> }) {
  const { failure, retryAt } = state;
  return (
    <p class="live-state is-lost" role="status">
      <i aria-hidden="true" />
      {failure.status === 0 ? 'Connection lost.' : failure.message}
      {retryAt === undefined ? ' ' : ' Trying again … '}
      <button type="button" class="button small" onClick={() => feed.retry()}>
        Try now
      </button>
    </p>
  );
}

function HowToMakeTraffic() {
  const address = apiUrl('').replace(/\/$/, '');
  const command = `llm-serve bench ${address}`;
  return (
    <div class="live-empty">
      <p>
        No request yet. Ask something in <a href="#/chat">Chat</a>, or make traffic in a terminal:
      </p>
      <p>
        <code>{command}</code> <CopyButton text={() => command} label="Copy the command" small />
      </p>
    </div>
  );
}

function Summary() {
  const [text, setText] = useState('');
  useEffect(() => {
    const say = () => {
      const snapshot = feed.snapshot.get();
      if (snapshot !== undefined && pause.get() === undefined) setText(summary(snapshot));
    };
    say();
    const timer = setInterval(say, SUMMARY_MS);
    return () => clearInterval(timer);
  }, []);
  return (
    <p class="visually-hidden" role="status" data-summary>
      {text}
    </p>
  );
}
