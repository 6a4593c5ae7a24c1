/** One load on the server: users that each wait for their answer, or arrivals that come when they are due. */
import type { Clock } from '../core/clock.ts';
import type { PlannedRequest, Step } from './plan.ts';
import type { RequestRecord } from './record.ts';

export interface StepLimits {
  readonly requests: number;
  /** After this nothing new is sent; what is under way is waited for. */
  readonly durationMs: number;
  /** Open loop: what is due beyond it waits in the client, and its latency counts from when it was due. */
  readonly maxInFlight: number;
}

export interface SendingContext {
  /** On the clock. */
  readonly stepBeganAt: number;
  /** Of users, which one sends; of arrivals, which one it is. */
  readonly turn: number;
}

export interface StepOptions {
  readonly limits: StepLimits;
  readonly clock: Pick<Clock, 'now' | 'schedule'>;
  /** Ends the step: requests under way end as cancelled. */
  readonly signal: AbortSignal;
  /** Never rejects. */
  send(request: PlannedRequest, context: SendingContext): Promise<RequestRecord>;
  onRecord(record: RequestRecord): void;
}

/** Resolves when every request that was sent has ended. */
export async function runStep(
  step: Step,
  plan: Iterator<PlannedRequest, never>,
  options: StepOptions,
): Promise<void> {
  if (step.kind === 'closed') await runUsers(step.concurrency, plan, options);
  else await runArrivals(plan, options);
}

async function runUsers(
  users: number,
  plan: Iterator<PlannedRequest, never>,
  { limits, clock, signal, send, onRecord }: StepOptions,
): Promise<void> {
  const stepBeganAt = clock.now();
  let left = limits.requests;
  const user = async (turn: number) => {
    while (left > 0 && !signal.aborted && clock.now() - stepBeganAt < limits.durationMs) {
      left -= 1;
      onRecord(await send(plan.next().value, { stepBeganAt, turn }));
    }
  };
  await Promise.all(Array.from({ length: Math.min(users, limits.requests) }, (_, turn) => user(turn)));
}

async function runArrivals(
  plan: Iterator<PlannedRequest, never>,
  { limits, clock, signal, send, onRecord }: StepOptions,
): Promise<void> {
  const stepBeganAt = clock.now();
  const underWay = new Set<Promise<void>>();
  for (let sent = 0; sent < limits.requests && !signal.aborted; sent += 1) {
    const request = plan.next().value;
    const dueAt = request.dueAt ?? 0;
    if (dueAt > limits.durationMs) break;
    await waitUntil(stepBeganAt + dueAt, clock, signal);
    while (underWay.size >= limits.maxInFlight && !signal.aborted) await Promise.race(underWay);
    if (signal.aborted) break;
    const ending: Promise<void> = send(request, { stepBeganAt, turn: sent }).then((record) => {
      underWay.delete(ending);
      onRecord(record);
    });
    underWay.add(ending);
  }
  await Promise.all(underWay);
}

/** Or until the step is ended. */
function waitUntil(at: number, clock: StepOptions['clock'], signal: AbortSignal): Promise<void> {
  const delay = at - clock.now();
  if (delay <= 0 || signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = clock.schedule(delay, () => {
      signal.removeEventListener('abort', stop);
      resolve();
    });
    const stop = () => {
      timer.cancel();
      resolve();
    };
    signal.addEventListener('abort', stop, { once: true });
  });
}
