/** GET /openapi.json and GET /docs, from the same schemas that validate. */
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance, FastifySchema } from 'fastify';
import { ERRORS, type ErrorCode, ServingError } from '../../core/errors.ts';
import type { Protocol, Route } from '../../protocols/protocol.ts';
import { WISH_HEADERS } from '../scheduling-wishes.ts';

/** What a route that asks a model can answer beside 200, in any protocol; the codes of each stand in the description. */
const MODEL_ROUTE_ERRORS = new Set([
  400, 401, 403, 404, 405, 408, 413, 415, 429, 431, 500, 502, 503, 504, 529,
]);
const QUERY_ROUTE_ERRORS = new Set([400, 401, 403, 404, 405, 413, 415, 429, 500, 502, 503, 504, 529]);

/** The rest of a path, slashes included, is an id wherever there is one; templates need a name for it. */
const WHOLE_REST = /\*$/;

export async function addApiDocs(
  server: FastifyInstance,
  { version }: { readonly version: string },
): Promise<void> {
  await server.register(swagger, {
    transform: ({ schema, url }) => ({ schema, url: url.replace(WHOLE_REST, ':id') }),
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'LLM Serving API',
        version,
        description:
          'Every response carries X-Request-Id and X-Response-Time-Ms (to its headers; of a stream: to its commit). ' +
          'Routes that ask a model carry X-RateLimit-Limit, X-RateLimit-Remaining and X-RateLimit-Reset while the limiter is on, ' +
          'Server-Timing: queue;dur=… once the time in the queue is known, and X-Request-Priority where a priority was asked for ' +
          '(with X-Priority-Lowered-From where it was more than the client may have). ' +
          'X-Dropped-Parameters names what could not be honoured and was dropped: tools of a vendor’s servers, the strict of a tool, and with compatibility: lenient what the backend cannot do.',
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

export function describeRoute(route: Route, { name, errors }: Protocol): FastifySchema {
  const { summary, description, answers } = route.describes;
  const asksModel = route.kind !== 'query';
  const successes = Object.entries(answers).map(([contentType, schema]) => [
    contentType,
    { schema: withTypes(schema) },
  ]);
  const codes = (Object.keys(ERRORS) as ErrorCode[]).map(
    (code) => ({ code, status: statusOf(code, errors) }) as const,
  );
  const refusals = [...(asksModel ? MODEL_ROUTE_ERRORS : QUERY_ROUTE_ERRORS)]
    .map((status) => [status, codes.filter((each) => each.status === status)] as const)
    .filter(([, ofStatus]) => ofStatus.length > 0)
    .map(([status, ofStatus]) => [
      status,
      {
        description: ofStatus.map(({ code }) => `${code}: ${ERRORS[code].title}`).join(' '),
        content: { 'application/json': { schema: errors.schema } },
      },
    ]);
  return {
    summary,
    description,
    tags: [name],
    ...(asksModel && { headers: withTypes(WISH_HEADERS) }),
    ...bodyOf(route.describes),
    response: {
      ...(successes.length > 0 && {
        200: { description: 'The answer', content: Object.fromEntries(successes) },
      }),
      ...Object.fromEntries(refusals),
    },
  } as FastifySchema;
}

function bodyOf({ body, example, oneOf }: Route['describes']): { readonly body?: unknown } {
  if (body === undefined) return {};
  return {
    body: {
      ...(withTypes(body) as object),
      ...(oneOf && { oneOf: oneOf.map((field) => ({ required: [field] })) }),
      ...(example && { examples: [example] }),
    },
  };
}

/** Lists of texts say that they are texts: programs that make clients of a description want a type. */
function withTypes(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(withTypes);
  if (typeof schema !== 'object' || schema === null) return schema;
  const typed = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, withTypes(value)]));
  const values: unknown = typed.enum;
  const isTexts = Array.isArray(values) && values.every((value) => typeof value === 'string');
  return isTexts && typed.type === undefined ? { type: 'string', ...typed } : typed;
}

/** As this protocol answers it. */
function statusOf(code: ErrorCode, errors: Protocol['errors']): number {
  return errors.render(new ServingError(code), '').status;
}
