/** Who waits, in the order of the queue, and who runs; one of them can be cancelled. */
import type { ComponentChildren } from 'preact';
import { duration, number, plural } from '../ui/amounts.ts';
import { Table } from '../ui/table.tsx';
import { ActionFailure, ConfirmedButton, useAction } from './action.tsx';
import { cancelRequest, type QueueEntry, readQueue } from './api.ts';
import { Loaded, useResource } from './loaded.tsx';

const POLL_MS = 1_000;
const MAX_ROWS = 100;

export function QueueSection() {
  const asked = useResource(readQueue, { pollMs: POLL_MS });
  return (
    <Loaded asked={asked}>
      {({ waiting, running }) => (
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
              'Prompt tokens',
              'Cancel',
            ]}
            note={waiting.length === 0 ? 'Nothing waits.' : restOf(waiting)}
          >
            {waiting.slice(0, MAX_ROWS).map((entry) => (
              <EntryRow key={entry.id} entry={entry} first={entry.position} onDone={asked.reload} />
            ))}
          </Table>
          <Table
            id="admin-running"
            title="Running"
            columns={[
              'Target',
              'Request',
              'Client',
              'Model',
              'Priority',
              'Waited',
              'Prompt tokens',
              'Cancel',
            ]}
            note={running.length === 0 ? 'Nothing runs.' : restOf(running)}
          >
            {running.slice(0, MAX_ROWS).map((entry) => (
              <EntryRow key={entry.id} entry={entry} first={entry.target} onDone={asked.reload} />
            ))}
          </Table>
          <p class="hint">
            A request that is cancelled ends at once, for its client too. <a href="#/live">Live</a> shows all
            of them over time.
          </p>
        </div>
      )}
    </Loaded>
  );
}

function restOf(entries: readonly unknown[]): string {
  return entries.length > MAX_ROWS ? `and ${number(entries.length - MAX_ROWS)} more` : '';
}

interface EntryRowProps {
  readonly entry: QueueEntry;
  readonly first: ComponentChildren;
  readonly onDone: () => void;
}

function EntryRow({ entry, first, onDone }: EntryRowProps) {
  const action = useAction();
  const { id, request_id, client } = entry;
  const cancel = () =>
    action.run(async () => {
      await cancelRequest(id);
      onDone();
      return `The request ${request_id} of ${client} was cancelled.`;
    });
  return (
    <tr>
      <td class="figure-cell">{first}</td>
      <th scope="row" class="mono">
        {request_id}
      </th>
      <td>{client}</td>
      <td>{entry.model}</td>
      <td>{entry.priority}</td>
      <td class="figure-cell">{duration(entry.waited_ms)}</td>
      <td class="figure-cell">{plural(entry.prompt_tokens, 'token')}</td>
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
    </tr>
  );
}
