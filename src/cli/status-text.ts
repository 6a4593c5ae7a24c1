/** A live snapshot as lines for a terminal. Pure. */
import { durationText } from '../core/duration-text.ts';
import { leaseInWords } from '../core/leased-slots.ts';
import {
  type LiveRunning,
  type LiveSnapshot,
  type LiveSums,
  type LiveWaiting,
  WAITING_WORDS,
} from '../core/live-snapshot.ts';
import { sharedLimitsInWords } from '../core/shared-limits.ts';
import { cutToWidth, table } from '../core/text-columns.ts';

interface Screen {
  readonly address: string;
  /** Columns; longer lines are cut. */
  readonly width: number;
  /** Lines; undefined: no bound. */
  readonly height?: number | undefined;
  /** Further states will follow this one. */
  readonly watches: boolean;
}

/** Requests that are listed where the screen has no bound. */
const MAX_LISTED = 20;

export function statusText(snapshot: LiveSnapshot, { address, width, height, watches }: Screen): string {
  const { models, targets, queue, running, sums, version, scope, shared_limits: limits } = snapshot;
  const hasLeases = targets.some(({ lease }) => lease !== undefined);
  const fixed = [
    `llm-serve ${version} at ${address}${scope === 'own' ? ' (only your own requests)' : ''}`,
    '',
    ...table([
      ['MODEL', 'RUNNING', 'WAITING'],
      ...models.map(({ id, running: started, waiting }) => [id, String(started), String(waiting)]),
    ]),
    '',
    ...table([
      ['TARGET', 'MODEL', 'BACKEND', 'STATE', 'SLOTS', ...(hasLeases ? ['LEASED'] : [])],
      ...targets.map(({ name, model, backend, status, health, slots, slots_used: used, lease }) => [
        name,
        model,
        backend,
        stateText(status, health),
        `${used}/${slots}`,
        ...(hasLeases ? [lease === undefined ? '' : leaseInWords(lease)] : []),
      ]),
    ]),
    '',
    ...(limits === undefined ? [] : [`Limits: ${sharedLimitsInWords(limits)}`]),
    ratesText(sums, watches),
  ];
  const room = height === undefined ? MAX_LISTED : Math.max(0, height - fixed.length - 4);
  const lines = [...fixed, ...requestLines(running, queue, { room, at: snapshot.at_ms })];
  return lines.map((line) => cutToWidth(line, width)).join('\n');
}

/** What its probe says, and its health where that says more. */
function stateText(status: string, health: string): string {
  return health === status || health === 'starting' || health === 'down' ? status : `${status}, ${health}`;
}

function ratesText(sums: LiveSums, watches: boolean): string {
  const { window_seconds: seconds, finished, completion_tokens: tokens, rejected, failed, cancelled } = sums;
  if (seconds < 1) return watches ? 'Rates follow with the next requests.' : 'Rates: --watch shows them.';
  const per = (count: number) => (count / seconds).toFixed(1);
  const refused = Object.entries(rejected).map(([code, count]) => `${count} ${code}`);
  const parts = [
    `${per(finished)} answers/s`,
    `${per(tokens)} tokens/s`,
    ...(sums.ttft_ms === null
      ? []
      : [`first token p50 ${durationText(sums.ttft_ms.p50)}, p99 ${durationText(sums.ttft_ms.p99)}`]),
    ...(failed > 0 ? [`${failed} failed`] : []),
    ...(cancelled > 0 ? [`${cancelled} cancelled`] : []),
    ...refused,
  ];
  return `Last ${Math.round(seconds)} s: ${parts.join(', ')}`;
}

function requestLines(
  running: readonly LiveRunning[],
  queue: readonly LiveWaiting[],
  { room, at }: { readonly room: number; readonly at: number },
): readonly string[] {
  const rows = [
    ...running.map((request) => [
      durationText(at - request.received_at_ms),
      request.model,
      `runs at ${request.target}`,
      request.first_token_at_ms === null
        ? 'reads the prompt'
        : `${request.completion_tokens} ${request.completion_tokens === 1 ? 'token' : 'tokens'}`,
      request.request_id,
    ]),
    ...queue.map((request) => [
      durationText(at - request.received_at_ms),
      request.model,
      `waits, place ${request.position}`,
      WAITING_WORDS[request.reason],
      request.request_id,
    ]),
  ];
  if (rows.length === 0 || room === 0) return [];
  const shown = rows.slice(0, room);
  const more = rows.length - shown.length;
  return [
    '',
    ...table([['AGE', 'MODEL', 'STATE', 'WHAT', 'REQUEST'], ...shown]),
    ...(more > 0 ? [`and ${more} more`] : []),
  ];
}
