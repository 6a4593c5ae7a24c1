/** GET /openapi.json and GET /docs, from the same schemas that validate. */
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance, FastifySchema } from 'fastify';
import { ERRORS } from '../../core/errors.ts';
import { ErrorAnswer } from '../../protocols/catalog.ts';
import type { GenerationRoute } from '../../protocols/generation-route.ts';
import { WISH_HEADERS } from '../scheduling-wishes.ts';

/** What a route that asks a model can answer beside 200; the codes of each stand in the description. */
const MODEL_ROUTE_ERRORS = [400, 401, 403, 404, 405, 408, 413, 415, 429, 431, 500, 502, 503, 504];

export async function addApiDocs(
  server: FastifyInstance,
  { version }: { readonly version: string },
): Promise<void> {
  await server.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'LLM Serving API',
        version,
        description:
          'Every response carries X-Request-Id and X-Response-Time-Ms (to its headers; of a stream: to its commit). ' +
          'Routes that ask a model carry X-RateLimit-Limit, X-RateLimit-Remaining and X-RateLimit-Reset while the limiter is on, ' +
          'Server-Timing: queue;dur=… once the time in the queue is known, and X-Request-Priority where a priority was asked for ' +
          '(with X-Priority-Lowered-From where it was more than the client may have).',
        license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
      },
      // Without keys in the configuration none is asked for.
      security: [{}, { bearer: [] }, { apiKey: [] }],
      components: {
        securitySchemes: {
          bearer: { type: 'http', scheme: 'bearer' },
          apiKey: { type: 'apiKey', in: 'header', name: 'x-api-key' },
        },
      },
    },
  });
  await server.register(swaggerUi, { routePrefix: '/docs', uiConfig: { tryItOutEnabled: true } });
  server.get('/openapi.json', { schema: { hide: true }, handler: async () => server.swagger() });
}

export function describeModelRoute({
  body,
  describes,
}: Pick<GenerationRoute, 'body' | 'describes'>): FastifySchema {
  const errors = MODEL_ROUTE_ERRORS.map((status) => [
    status,
    { description: codesOf(status), content: json(ErrorAnswer) },
  ]);
  return {
    summary: describes.summary,
    description: describes.description,
    headers: WISH_HEADERS,
    body,
    response: {
      200: {
        description: 'The answer',
        content: { [describes.answerContentType]: { schema: describes.answer } },
      },
      ...Object.fromEntries(errors),
    },
  } as FastifySchema;
}

function json(schema: unknown) {
  return { 'application/json': { schema } };
}

function codesOf(status: number): string {
  return Object.entries(ERRORS)
    .filter(([, spec]) => spec.status === status)
    .map(([code, { title }]) => `${code}: ${title}`)
    .join(' ');
}
