/** The same as the lanes, as tables: targets, the queue in its order, and what has ended. */
import { type LeasedSlots, leaseInWords } from '../../src/core/leased-slots.ts';
import {
  type LiveReceipt,
  type LiveSnapshot,
  type LiveTarget,
  type LiveWaiting,
  WAITING_WORDS,
} from '../../src/core/live-snapshot.ts';
import { Table } from '../ui/table.tsx';
import { feed } from './feed.ts';
import { edgeNow, selectBar, selectReceipt } from './view-state.ts';
import { duration, number, plural, spaced, troubleOf } from './words.ts';

/** Rows; the rest is counted. */
const MAX_ROWS = 25;

export function TargetsTable({ snapshot }: { readonly snapshot: LiveSnapshot }) {
  const hasLeases = snapshot.targets.some(({ lease }) => lease !== undefined);
  return (
    <Table
      id="live-targets"
      title="Targets"
      columns={[
        ...['Target', 'Model', 'Backend', 'State', 'Slots'],
        ...(hasLeases ? ['Leased'] : []),
        ...['Tokens in flight', 'Ejected'],
      ]}
    >
      {snapshot.targets.map((target) => (
        <tr key={target.name}>
          <th scope="row">{target.name}</th>
          <td>{target.model}</td>
          <td>{target.backend}</td>
          <td>
            <span class={troubleOf(target).length === 0 ? 'state' : 'state alarming'}>{stateOf(target)}</span>
          </td>
          <td class="figure-cell">
            {target.slots_used} of {target.slots}
          </td>
          {hasLeases && <td>{target.lease && <LeaseState lease={target.lease} />}</td>}
          <td class="figure-cell">{number(target.tokens_in_flight)}</td>
          <td>
            {Object.entries(target.ejections)
              .map(([cause, count]) => `${count} × ${spaced(cause)}`)
              .join(', ') || '–'}
          </td>
        </tr>
      ))}
    </Table>
  );
}

/** The colour says where slots are given without a lease, or none may be. */
function LeaseState({ lease }: { readonly lease: LeasedSlots }) {
  return <span class={lease.basis === 'lease' ? 'state' : 'state alarming'}>{leaseInWords(lease)}</span>;
}

function stateOf(target: LiveTarget): string {
  const trouble = troubleOf(target);
  return [
    ...(trouble.length === 0 ? ['ready'] : trouble),
    ...(target.loaded ? [] : ['model not loaded']),
  ].join(', ');
}

export function QueueTable({ snapshot }: { readonly snapshot: LiveSnapshot }) {
  const { queue } = snapshot;
  const waiting = snapshot.models.reduce((sum, model) => sum + model.waiting, 0);
  const shown = queue.slice(0, MAX_ROWS);
  const now = edgeNow();
  return (
    <Table
      id="live-queue"
      title="Queue"
      columns={[
        'Next',
        'Request',
        'Model',
        'Priority',
        'Waiting for',
        'Why',
        'Starts in about',
        'Gives up in',
      ]}
      note={
        queue.length === 0
          ? waiting === 0
            ? 'Nothing waits.'
            : `${plural(waiting, 'request')} of other clients wait.`
          : waiting > shown.length
            ? `and ${number(waiting - shown.length)} more`
            : ''
      }
    >
      {shown.map((entry) => (
        <tr key={entry.id}>
          <td class="figure-cell">{entry.position}</td>
          <th scope="row">
            <button
              type="button"
              class="link"
              onClick={(event) => selectBar(barOf(entry), event.currentTarget)}
            >
              {entry.request_id}
            </button>
          </th>
          <td>{entry.model}</td>
          <td>{entry.priority}</td>
          <td class="figure-cell">{duration(now - entry.enqueued_at_ms)}</td>
          <td>{WAITING_WORDS[entry.reason]}</td>
          <td class="figure-cell">{duration(entry.eta_ms)}</td>
          <td class="figure-cell">{duration(entry.expires_at_ms - now)}</td>
        </tr>
      ))}
    </Table>
  );
}

function barOf({ id, request_id }: LiveWaiting) {
  return feed.bars.ofRequest(request_id).find((bar) => bar.id === id);
}

export function EndedTable({ ended }: { readonly ended: readonly LiveReceipt[] }) {
  const shown = ended.slice(0, MAX_ROWS);
  return (
    <Table
      id="live-ended"
      title="Ended"
      columns={['Request', 'Answer', 'Model', 'Target', 'Queue', 'First token', 'Total', 'Tokens']}
      note={ended.length === 0 ? 'Nothing has ended since this page looks.' : ''}
    >
      {shown.map((receipt) => (
        <tr key={`${receipt.request_id} ${receipt.received_at_ms}`}>
          <th scope="row">
            <button
              type="button"
              class="link"
              onClick={(event) => selectReceipt(receipt, event.currentTarget)}
            >
              {receipt.request_id}
            </button>
          </th>
          <td>
            <span class={receipt.error_code === null ? 'state' : 'state alarming'}>
              {receipt.status === 499 ? 'cancelled' : receipt.status}
              {receipt.error_code !== null && receipt.status !== 499 && ` ${spaced(receipt.error_code)}`}
            </span>
          </td>
          <td>{receipt.served_model ?? receipt.model}</td>
          <td>{receipt.attempts.map(({ target }) => target).join(' → ') || '–'}</td>
          <td class="figure-cell">{duration(receipt.timings?.queue_ms)}</td>
          <td class="figure-cell">{duration(receipt.timings?.ttft_ms)}</td>
          <td class="figure-cell">{duration(receipt.ended_at_ms - receipt.received_at_ms)}</td>
          <td class="figure-cell">{number(receipt.completion_tokens)}</td>
        </tr>
      ))}
    </Table>
  );
}
