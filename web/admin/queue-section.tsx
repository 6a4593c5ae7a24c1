/**
 * Who waits, in the order of the queue, and who runs; one of them can be cancelled. A request moves up and from one table to the other:
 * the focus, and the question whether it is to be cancelled, go with it.
 */
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { WAITING_WORDS } from '../../src/core/live-snapshot.ts';
import { duration, number, plural } from '../ui/amounts.ts';
import { Table } from '../ui/table.tsx';
import { ActionFailure, ConfirmedButton, useAction } from './action.tsx';
import { cancelRequest, type QueueEntry, readQueue } from './api.ts';
import { Loaded, useResource } from './loaded.tsx';

const POLL_MS = 1_000;
const MAX_ROWS = 100;

export function QueueSection() {
  const asked = useResource((options) => readQueue(MAX_ROWS, options), { pollMs: POLL_MS });
  /** The row that asks whether it is to be cancelled. */
  const [asking, setAsking] = useState<string | undefined>(undefined);
  const { running = [], waiting = [], totals } = asked.state.value ?? {};
  // Those that run first: one that waits becomes the last of them.
  const keys = rowKeys([...running, ...waiting]);
  if (asking !== undefined && !keys.includes(asking)) setAsking(undefined);
  const section = useFocusOfRow();
  const cancelCell = (key: string | undefined, entry: QueueEntry) => (
    <CancelCell
      entry={entry}
      asks={key === asking}
      onAsk={(asks) => setAsking(asks ? key : undefined)}
      onDone={asked.reload}
    />
  );
  return (
    <Loaded asked={asked}>
      {() => (
        <div class="admin-stack" ref={section}>
          <Table
            id="admin-waiting"
            title="Waiting"
            columns={[
              'Next',
              'Request',
              'Client',
              'Model',
              'Priority',
              'Waits for',
              'Why',
              'Prompt',
              'Cancel',
            ]}
            note={noteOf(totals?.waiting ?? 0, waiting.length, 'Nothing waits.')}
          >
            {withKeys(waiting, keys.slice(running.length)).map(([key, entry]) => (
              <tr key={key} data-row={key}>
                <td class="figure-cell">{entry.position}</td>
                <Common entry={entry} />
                <td class="figure-cell">{duration(entry.waited_ms)}</td>
                <td>{WAITING_WORDS[entry.reason]}</td>
                <td class="figure-cell">{plural(entry.prompt_tokens, 'token')}</td>
                {cancelCell(key, entry)}
              </tr>
            ))}
          </Table>
          <Table
            id="admin-running"
            title="Running"
            columns={[
              ...[
                'Target',
                'Request',
                'Client',
                'Model',
                'Priority',
                'Runs for',
                'Waited',
                'Prompt',
                'Answer',
              ],
              'Cancel',
            ]}
            note={noteOf(totals?.running ?? 0, running.length, 'Nothing runs.')}
          >
            {withKeys(running, keys).map(([key, entry]) => (
              <tr key={key} data-row={key}>
                <td>
                  {entry.target}, slot {entry.slot + 1}
                </td>
                <Common entry={entry} />
                <td class="figure-cell">{duration(entry.running_ms)}</td>
                <td class="figure-cell">{duration(entry.waited_ms)}</td>
                <td class="figure-cell">{plural(entry.prompt_tokens, 'token')}</td>
                <td class="figure-cell">{plural(entry.completion_tokens, 'token')}</td>
                {cancelCell(key, entry)}
              </tr>
            ))}
          </Table>
          <p class="hint">
            Who is cancelled is told so by the error <code>cancelled_by_admin</code>; its slot is free as soon
            as the backend has stopped. <a href="#/live">Live</a> shows requests over time.
          </p>
        </div>
      )}
    </Loaded>
  );
}

function noteOf(all: number, shown: number, nothing: string): string {
  if (shown === 0) return nothing;
  return all > shown ? `and ${number(all - shown)} more` : '';
}

/** Choices of a request share its id: they are told apart by their order. */
function rowKeys(entries: readonly QueueEntry[]): readonly string[] {
  const known = new Map<string, number>();
  return entries.map(({ id }) => {
    const at = known.get(id) ?? 0;
    known.set(id, at + 1);
    return `${id} ${at}`;
  });
}

function withKeys<Entry>(entries: readonly Entry[], keys: readonly string[]) {
  return entries.map((entry, at) => [keys[at] ?? '', entry] as const);
}

/**
 * What has the focus keeps it when its row is moved, or is in the other table now. Where there is no such row any more, its table has it:
 * the next press of Tab goes on there, not at the top of the page.
 */
function useFocusOfRow() {
  const section = useRef<HTMLDivElement>(null);
  const active = document.activeElement;
  const before = section.current?.contains(active) && active instanceof HTMLElement ? active : undefined;
  const row = before?.closest('tr')?.dataset.row;
  const table = before?.closest<HTMLElement>('.table-scroll');
  useLayoutEffect(() => {
    if (before === undefined || document.activeElement !== document.body) return;
    const moved =
      row && section.current?.querySelector<HTMLElement>(`[data-row="${CSS.escape(row)}"] button`);
    const next = before.isConnected ? before : moved || table;
    next?.focus({ preventScroll: true });
  });
  return section;
}

function Common({ entry }: { readonly entry: QueueEntry }) {
  const { request_id, attempt, team } = entry;
  return (
    <>
      <th scope="row">
        <span class="mono">{request_id}</span>
        {attempt > 1 && <small class="admin-tag">try {attempt}</small>}
      </th>
      <td>
        {clientOf(entry)}
        {team !== null && <small> {team}</small>}
      </td>
      <td>{entry.model}</td>
      <td>{entry.priority}</td>
    </>
  );
}

/** The name of its key, or else its address. */
function clientOf({ client }: QueueEntry): string {
  return client || 'not known';
}

interface CancelCellProps {
  readonly entry: QueueEntry;
  readonly asks: boolean;
  readonly onAsk: (asks: boolean) => void;
  readonly onDone: () => void;
}

function CancelCell({ entry, asks, onAsk, onDone }: CancelCellProps) {
  const action = useAction();
  const { id, request_id } = entry;
  const cancel = () =>
    action.run(async () => {
      await cancelRequest(id);
      onDone();
      return `The request ${request_id} of ${clientOf(entry)} was cancelled.`;
    });
  return (
    <td>
      <ConfirmedButton
        label="Cancel"
        describedAs={`Cancel the request ${request_id}`}
        confirm="Cancel it"
        asks={asks}
        onAsk={onAsk}
        onConfirm={() => void cancel()}
      />
      <ActionFailure action={action} />
    </td>
  );
}
