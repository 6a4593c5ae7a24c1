/** Who waits, in the order of the queue, and who runs; one of them can be cancelled. */
import { WAITING_WORDS } from '../../src/core/live-snapshot.ts';
import { duration, number, plural } from '../ui/amounts.ts';
import { Table } from '../ui/table.tsx';
import { ActionFailure, ConfirmedButton, useAction } from './action.tsx';
import { cancelRequest, type QueueEntry, type RunningEntry, readQueue, type WaitingEntry } from './api.ts';
import { Loaded, useResource } from './loaded.tsx';

const POLL_MS = 1_000;
const MAX_ROWS = 100;

export function QueueSection() {
  const asked = useResource((options) => readQueue(MAX_ROWS, options), { pollMs: POLL_MS });
  return (
    <Loaded asked={asked}>
      {({ waiting, running, totals }) => (
        <div class="admin-stack">
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
            note={noteOf(totals.waiting, waiting.length, 'Nothing waits.')}
          >
            {waiting.map((entry) => (
              <tr key={rowKey(entry)}>
                <td class="figure-cell">{entry.position}</td>
                <Common entry={entry} />
                <td class="figure-cell">{duration(entry.waited_ms)}</td>
                <td>{WAITING_WORDS[entry.reason]}</td>
                <td class="figure-cell">{plural(entry.prompt_tokens, 'token')}</td>
                <CancelCell entry={entry} onDone={asked.reload} />
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
            note={noteOf(totals.running, running.length, 'Nothing runs.')}
          >
            {running.map((entry) => (
              <tr key={rowKey(entry)}>
                <td>
                  {entry.target}, slot {entry.slot + 1}
                </td>
                <Common entry={entry} />
                <td class="figure-cell">{duration(entry.running_ms)}</td>
                <td class="figure-cell">{duration(entry.waited_ms)}</td>
                <td class="figure-cell">{plural(entry.prompt_tokens, 'token')}</td>
                <td class="figure-cell">{plural(entry.completion_tokens, 'token')}</td>
                <CancelCell entry={entry} onDone={asked.reload} />
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

/** Choices of a request share its id, and have places of their own. */
function rowKey(entry: WaitingEntry | RunningEntry): string {
  return 'slot' in entry ? `${entry.id} ${entry.target} ${entry.slot}` : `${entry.id} ${entry.position}`;
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
  readonly onDone: () => void;
}

function CancelCell({ entry, onDone }: CancelCellProps) {
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
        disabled={action.isBusy}
        onConfirm={() => void cancel()}
      />
      <ActionFailure action={action} />
    </td>
  );
}
