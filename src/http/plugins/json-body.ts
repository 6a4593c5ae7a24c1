/** Bodies are JSON in UTF-8 and nothing else; what they must hold is for the route's protocol to say. */
import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Clock } from '../../core/clock.ts';
import { ServingError } from '../../core/errors.ts';
import type { BodyBudget } from '../body-budget.ts';
import { BodyReader } from '../body-reader.ts';
import { parseJson } from '../json-text.ts';

const JSON_TYPE = /^application\/json\s*(;|$)/i;

export interface JsonBodyOptions {
  readonly clock: Clock;
  readonly budget: BodyBudget;
  /** Routes whose bodies are read as JSON whatever their content type says. */
  readonly anyTypePaths: ReadonlySet<string>;
}

export function addJsonBody(server: FastifyInstance, { clock, budget, anyTypePaths }: JsonBodyOptions): void {
  const reader = new BodyReader({ budget, clock });
  server.removeAllContentTypeParsers();
  for (const type of ['application/json', '*'])
    server.addContentTypeParser(type, (request: FastifyRequest, stream: IncomingMessage) =>
      readBody(reader, request, stream),
    );
  // Before the body is read.
  server.addHook('onRequest', ({ headers, method, routeOptions, is404 }, _reply, done) => {
    if (is404 || (method !== 'POST' && !hasBody(headers))) return done();
    const type = headers['content-type'];
    const isJson = type === undefined ? !hasBody(headers) : JSON_TYPE.test(type);
    if (isJson || anyTypePaths.has(routeOptions.url ?? '')) return done();
    throw new ServingError('unsupported_media_type', {
      message: 'The content type is not supported. Send JSON with "content-type: application/json".',
    });
  });
  server.setValidatorCompiler(() => () => true);
  server.setSerializerCompiler(() => JSON.stringify);
}

function hasBody(headers: FastifyRequest['headers']): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

async function readBody(
  reader: BodyReader,
  { headers, method, routeOptions, scope }: FastifyRequest,
  stream: IncomingMessage,
): Promise<unknown> {
  refuseEncoding(headers);
  const declaredBytes = Number(headers['content-length'] ?? Number.NaN);
  const limitBytes = routeOptions.bodyLimit ?? Number.POSITIVE_INFINITY;
  // A body that is announced as too large is refused before a byte of it is under way.
  if (scope.awaitsContinue && !(declaredBytes > limitBytes)) {
    scope.response.writeContinue();
    scope.awaitsContinue = false;
  }
  const value = await reader.read(stream, {
    client: scope.clientId,
    limitBytes,
    declaredBytes,
    onReceived: (bytes) => {
      scope.bodyBytes = bytes;
    },
  });
  // Some clients name the type of a body that they do not send.
  return value === undefined && method === 'POST' ? parseJson('') : value;
}

/** A small body could unpack to any size, so none is unpacked. */
function refuseEncoding({ 'content-encoding': encoding, ...headers }: FastifyRequest['headers']): void {
  if (encoding === undefined || encoding.toLowerCase() === 'identity' || !hasBody(headers)) return;
  throw new ServingError('unsupported_media_type', {
    message: 'The body is compressed (content-encoding), which is not supported. Send it as it is.',
  });
}
