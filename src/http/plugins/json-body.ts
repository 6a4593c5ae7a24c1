/** Bodies are JSON in UTF-8 and nothing else; what they must hold is for the route's protocol to say. */
import { isUtf8 } from 'node:buffer';
import type { FastifyInstance } from 'fastify';
import { ServingError } from '../../core/errors.ts';

export function addJsonBody(server: FastifyInstance): void {
  server.removeAllContentTypeParsers();
  server.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => {
    try {
      done(null, parseJson(body as Buffer));
    } catch (error) {
      done(error as Error);
    }
  });
  server.setValidatorCompiler(() => () => true);
  server.setSerializerCompiler(() => JSON.stringify);
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
