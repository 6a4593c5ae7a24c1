/**
 * What Node's parser lets pass and is no proper request. HTTP/1.0 stays: health checks of load balancers still speak it. Two Hosts
 * would mean one thing to a proxy in front and another here.
 */
import type { IncomingMessage } from 'node:http';
import { ServingError } from '../core/errors.ts';
import type { RequestContext } from './context.ts';

export function refuseMalformed(context: RequestContext): void {
  const message = malformedBy(context.request);
  if (message === undefined) return;
  // What follows on the connection is not to be trusted either.
  context.setHeader('connection', 'close');
  throw new ServingError('malformed_http', { message });
}

function malformedBy({ httpVersion, rawHeaders }: IncomingMessage): string | undefined {
  if (httpVersion !== '1.1' && httpVersion !== '1.0')
    return `HTTP/${httpVersion} is not supported. Use HTTP/1.1.`;
  let hosts = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at];
    if (name?.length === 4 && name.toLowerCase() === 'host') hosts += 1;
  }
  if (hosts > 1) return 'The request has more than one Host header.';
  return hosts === 0 && httpVersion === '1.1' ? 'The request has no Host header.' : undefined;
}
