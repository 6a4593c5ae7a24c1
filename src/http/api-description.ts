/**
 * The API description: an OpenAPI 3.1 document made from the schemas that requests are checked against. GET /openapi.json answers with
 * it, GET /docs shows it (pages.ts).
 */
import { ERRORS, type ErrorCode, ServingError } from '../core/errors.ts';
import { PROTOCOLS } from '../protocols/catalog.ts';
import type { Protocol, Route } from '../protocols/protocol.ts';
import { HINT_HEADERS } from './model-request.ts';
import { DESCRIBED_ADMIN } from './routes/admin.ts';
import { DESCRIBED_LIVE } from './routes/live-schema.ts';
import { DESCRIBED_OPERATIONS, type DescribedOperation } from './routes/operations.ts';
import { DESCRIBED_USAGE } from './routes/usage.ts';

export type ApiDescription = Readonly<Record<string, unknown>>;

/** Statuses that a route to a model can answer with, besides 200, in any protocol; the description lists the error codes of each. */
const MODEL_ROUTE_ERRORS = [
  400, 401, 403, 404, 405, 408, 410, 413, 415, 429, 431, 500, 502, 503, 504, 508, 529,
];
const QUERY_ROUTE_ERRORS = [400, 401, 403, 404, 405, 413, 415, 429, 500, 502, 503, 504, 508, 529];

/** The `*` at the end of a path is always an id, and templates need a name for it. */
const WHOLE_REST = /\*$/;

export function describeApi({ version }: { readonly version: string }): ApiDescription {
  return {
    openapi: '3.1.0',
    info: {
      title: 'LLM Serving API',
      version,
      description:
        'Every response carries X-Request-Id and X-Response-Time-Ms (to its headers; of a stream: to its commit). ' +
        'Routes that ask a model carry X-RateLimit-Limit, X-RateLimit-Remaining and X-RateLimit-Reset while the limiter is on, ' +
        'Server-Timing (queue, upstream, ttft, generate and gateway; of a stream what is known when it begins), and X-Request-Priority where a priority was asked for ' +
        '(with X-Priority-Lowered-From where it was more than the client may have), X-Attempts (how often a backend was asked) ' +
        'and, after the first attempt, X-Served-Model and X-Served-Target (the model that answered, or was asked last, and its target). ' +
        'X-Dropped-Parameters names what was dropped: tools of a vendor’s servers, the strict of a tool, and with compatibility: lenient what the backend does not support.',
      license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
    },
    // Relative to this document, so that a proxy may serve all of it below a prefix.
    servers: [{ url: './' }],
    components: {
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer' },
        apiKey: { type: 'apiKey', in: 'header', name: 'x-api-key' },
      },
      schemas: {},
    },
    paths: describePaths(),
    // Without keys in the configuration none is required.
    security: [{}, { bearer: [] }, { apiKey: [] }],
  };
}

function describePaths(): Readonly<Record<string, Readonly<Record<string, unknown>>>> {
  const paths: Record<string, Record<string, unknown>> = {};
  const add = (path: string, method: string, operation: unknown) => {
    const name = path.replace(WHOLE_REST, '{id}');
    paths[name] = { ...paths[name], [method.toLowerCase()]: operation };
  };
  for (const protocol of PROTOCOLS)
    for (const route of protocol.routes) add(route.path, route.method, describeRoute(route, protocol));
  for (const operation of [
    ...DESCRIBED_OPERATIONS,
    ...DESCRIBED_LIVE,
    ...DESCRIBED_USAGE,
    ...DESCRIBED_ADMIN,
  ])
    add(operation.path, operation.method ?? 'GET', describeOperation(operation));
  return paths;
}

function describeRoute(route: Route, { name, errors }: Protocol) {
  const { summary, description, answers } = route.describes;
  const asksModel = route.kind !== 'query';
  const parameters = [
    ...(asksModel ? headerParameters() : []),
    ...(WHOLE_REST.test(route.path)
      ? [{ schema: { type: 'string' }, in: 'path', name: 'id', required: true }]
      : []),
  ];
  const contents = Object.entries(answers).map(([type, schema]) => [type, { schema: described(schema) }]);
  return {
    summary,
    tags: [name],
    description,
    ...bodyOf(route.describes),
    ...(parameters.length > 0 && { parameters }),
    responses: {
      ...(contents.length > 0 && {
        200: { description: 'The answer', content: Object.fromEntries(contents) },
      }),
      ...refusalsOf(asksModel ? MODEL_ROUTE_ERRORS : QUERY_ROUTE_ERRORS, errors),
    },
  };
}

function bodyOf({ body }: Route['describes']) {
  if (body === undefined) return {};
  const { schema: node, oneOf, examples } = body;
  const schema = {
    ...(described(node) as object),
    ...(oneOf && { oneOf: oneOf.map((field) => ({ required: [field] })) }),
  };
  const { description } = node as { readonly description?: string };
  return {
    requestBody: {
      required: true,
      content: { 'application/json': { schema, examples: named(examples) } },
      ...(description && { description }),
    },
  };
}

function named(examples: Readonly<Record<string, unknown>>) {
  return Object.fromEntries(Object.entries(examples).map(([name, value]) => [name, { value }]));
}

function refusalsOf(statuses: readonly number[], errors: Protocol['errors']) {
  const codes = (Object.keys(ERRORS) as ErrorCode[]).map(
    (code) => ({ code, status: statusOf(code, errors) }) as const,
  );
  const refusals = statuses
    .map((status) => [status, codes.filter((each) => each.status === status)] as const)
    .filter(([, ofStatus]) => ofStatus.length > 0)
    .map(([status, ofStatus]) => [
      status,
      {
        description: ofStatus.map(({ code }) => `${code}: ${ERRORS[code].title}`).join(' '),
        content: { 'application/json': { schema: described(errors.schema) } },
      },
    ]);
  return Object.fromEntries(refusals) as Readonly<Record<number, unknown>>;
}

/** As this protocol answers it. */
function statusOf(code: ErrorCode, errors: Protocol['errors']): number {
  return errors.render(new ServingError(code), '').status;
}

function headerParameters() {
  return Object.entries(HINT_HEADERS.properties).map(([name, schema]) => {
    const { description, ...rest } = described(schema) as { readonly description?: string };
    return { schema: rest, in: 'header', name, required: false, ...(description && { description }) };
  });
}

function describeOperation(operation: DescribedOperation) {
  const { summary, description, parameter, query = [], body, answers } = operation;
  const responses = Object.entries(answers).map(
    ([status, { description: what, contentType, schema, others = {} }]) => [
      status,
      {
        description: what,
        content: Object.fromEntries(
          Object.entries({ [contentType]: schema, ...others }).map(([type, each]) => [
            type,
            { schema: described(each) },
          ]),
        ),
      },
    ],
  );
  const parameters = [
    ...(parameter ? [{ schema: { type: 'string' }, in: 'path', required: true, ...parameter }] : []),
    ...query.map(({ name, schema }) => ({ in: 'query', name, required: false, schema: described(schema) })),
  ];
  return {
    summary,
    ...(description && { description }),
    ...(body && {
      requestBody: {
        required: body.isOptional !== true,
        content: { 'application/json': { schema: described(body.schema), examples: named(body.examples) } },
      },
    }),
    ...(parameters.length > 0 && { parameters }),
    responses: Object.fromEntries(responses),
  };
}

/**
 * A schema as tools that read API descriptions need it: an enum of strings has a type, for client generators; a constant is an enum of
 * one value, since the viewer does not support `const`; properties by pattern are additional properties.
 */
function described(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(described);
  if (typeof schema !== 'object' || schema === null) return schema;
  const { const: constant, patternProperties, ...rest } = schema as Keywords;
  const values: unknown = rest.enum;
  const isTexts = Array.isArray(values) && values.every((value) => typeof value === 'string');
  return {
    ...(isTexts && rest.type === undefined && { type: 'string' }),
    ...describedValues(rest),
    ...(constant !== undefined && { enum: [constant] }),
    ...(patternProperties && { additionalProperties: described(Object.values(patternProperties)[0]) }),
  };
}

interface Keywords {
  readonly [keyword: string]: unknown;
  readonly patternProperties?: object;
}

function describedValues(keywords: object): object {
  return Object.fromEntries(
    // Names of properties are no keywords.
    Object.entries(keywords).map(([keyword, value]) => [
      keyword,
      keyword === 'properties' ? describedValues(value as object) : described(value),
    ]),
  );
}
