/**
 * Loops of servers: every request to an upstream names the instances of this software that it came through. One that comes back to an
 * instance, or came through too many, is refused instead of going round until all slots are taken.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { HOPS_HEADER } from '../core/backend.ts';
import { ServingError } from '../core/errors.ts';
import type { Step } from './context.ts';

/** With this one: the next server is not to find too many, as it does not know who is to blame. */
const MAX_HOPS = 8;
/** What else the header may contain did not come from us, and is not passed on. */
const INSTANCE_ID = /^[A-Za-z0-9_-]{1,64}$/;

/** The instances that the request came through, for the next one; undefined where it came from a client. */
export function hopsOf(headers: IncomingHttpHeaders): string | undefined {
  const value = headers[HOPS_HEADER];
  return value === undefined ? undefined : idsIn(value).join(', ') || undefined;
}

/** Throws `loop_detected`. */
export function loopStep(instanceId: string): Step {
  return ({ request: { headers } }) => {
    const value = headers[HOPS_HEADER];
    if (value === undefined) return;
    const ids = idsIn(value);
    if (ids.includes(instanceId))
      throw new ServingError('loop_detected', {
        message:
          'This request came from this server itself: one of its targets leads back to it. The operator must change that target’s url.',
      });
    if (ids.length >= MAX_HOPS)
      throw new ServingError('loop_detected', {
        message: `This request came through ${ids.length} servers like this one; with this one, at most ${MAX_HOPS} are allowed. The operator must shorten the chain.`,
      });
  };
}

function idsIn(value: string | string[]): string[] {
  return String(value)
    .split(',')
    .map((id) => id.trim())
    .filter((id) => INSTANCE_ID.test(id));
}
