/** Bodies are JSON in UTF-8 and nothing else; what they must hold is for the route's protocol to say. */
import { isUtf8 } from 'node:buffer';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { ServingError } from '../../core/errors.ts';

/** `anyTypePaths`: routes whose bodies are read as JSON whatever their content type says. */
export function addJsonBody(server: FastifyInstance, anyTypePaths: ReadonlySet<string>): void {
  server.removeAllContentTypeParsers();
  server.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    readInto(request, body as Buffer, done);
  });
  server.addContentTypeParser('*', { parseAs: 'buffer' }, (request, body, done) => {
    if (anyTypePaths.has(request.routeOptions.url ?? '')) readInto(request, body as Buffer, done);
    else
      done(
        new ServingError('unsupported_media_type', {
          message: 'The content type is not supported. Send JSON with "content-type: application/json".',
        }),
      );
  });
  server.setValidatorCompiler(() => () => true);
  server.setSerializerCompiler(() => JSON.stringify);
}

function readInto(
  { headers }: FastifyRequest,
  body: Buffer,
  done: (error: Error | null, value?: unknown) => void,
): void {
  try {
    refuseEncoding(headers['content-encoding']);
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

function parseJson(body: Buffer): unknown {
  if (!isUtf8(body)) throw new ServingError('invalid_json', { message: 'The body is not valid UTF-8.' });
  const text = body.toString('utf8').replace(/^\uFEFF/, '');
  if (text.trim() === '')
    throw new ServingError('invalid_json', { message: 'The body is empty. Send a JSON object.' });
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ServingError('invalid_json', {
      message: `The body is not valid JSON: ${(error as Error).message}`,
    });
  }
}
