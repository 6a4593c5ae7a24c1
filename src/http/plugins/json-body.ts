/** Bodies are JSON in UTF-8 and nothing else; what they must hold is for the route's protocol to say. */
import { isUtf8 } from 'node:buffer';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { ServingError } from '../../core/errors.ts';
import { commasOutsideStrings } from '../value-count.ts';

const JSON_TYPE = /^application\/json\s*(;|$)/i;
const MOST_VALUES = 1_000_000;

/** `anyTypePaths`: routes whose bodies are read as JSON whatever their content type says. */
export function addJsonBody(server: FastifyInstance, anyTypePaths: ReadonlySet<string>): void {
  server.removeAllContentTypeParsers();
  for (const type of ['application/json', '*'])
    server.addContentTypeParser(type, { parseAs: 'buffer' }, (request, body, done) => {
      readInto(request, body as Buffer, done);
    });
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

function readInto(
  { headers, method, scope }: FastifyRequest,
  body: Buffer,
  done: (error: Error | null, value?: unknown) => void,
): void {
  try {
    // Some clients name the type of a body that they do not send.
    if (method !== 'POST' && body.length === 0) {
      done(null, undefined);
      return;
    }
    refuseEncoding(headers['content-encoding']);
    scope.bodyBytes = body.length;
    done(null, parseJson(body));
  } catch (error) {
    done(error as Error);
  }
}

/** A small body could unpack to any size, so none is unpacked. */
function refuseEncoding(encoding: string | undefined): void {
  if (encoding === undefined || encoding.toLowerCase() === 'identity') return;
  throw new ServingError('unsupported_media_type', {
    message: 'The body is compressed (content-encoding), which is not supported. Send it as it is.',
  });
}

/** What each value costs, in time and memory, is many times its bytes. */
function refuseCrowd(body: Buffer): void {
  if (body.length <= MOST_VALUES || commasOutsideStrings(body) < MOST_VALUES) return;
  throw new ServingError('invalid_request', {
    message: `The body has more than ${MOST_VALUES.toLocaleString('en')} values in its lists and objects. Send less at a time.`,
  });
}

function parseJson(body: Buffer): unknown {
  if (!isUtf8(body)) throw new ServingError('invalid_json', { message: 'The body is not valid UTF-8.' });
  const text = body.toString('utf8').replace(/^\uFEFF/, '');
  if (text.trim() === '')
    throw new ServingError('invalid_json', { message: 'The body is empty. Send a JSON object.' });
  refuseCrowd(body);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ServingError('invalid_json', {
      message: `The body is not valid JSON: ${(error as Error).message}`,
    });
  }
}
