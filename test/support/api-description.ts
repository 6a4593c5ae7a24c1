/** Holds answers against what /openapi.json says of them. Stricter than the description: what it does not name may not be there. */
import { Compile } from 'typebox/compile';
import { ask, type RawAnswer } from './http-client.ts';

type Schema = Readonly<Record<string, unknown>>;

interface Operation {
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> };
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { readonly schema?: Schema }>> }>
  >;
}

export interface ApiDescription {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

let description: Promise<ApiDescription> | undefined;

/** It is the same on every server, whatever its configuration, so one is asked for all. */
export function fetchDescription(server: { readonly url: string }): Promise<ApiDescription> {
  description ??= ask(`${server.url}/openapi.json`).then((answer) => answer.json<ApiDescription>());
  return description;
}

/** What the answer has that the description does not allow; empty for paths and methods it does not have. */
export function undescribed(
  { paths }: ApiDescription,
  asked: { readonly method: string; readonly path: string },
  answer: RawAnswer,
): readonly string[] {
  const operation = operationAt(paths, asked.path)?.[asked.method.toLowerCase()];
  if (operation === undefined) return [];
  const contentType = answer.header('content-type')?.split(';')[0] ?? '';
  const content = operation.responses[answer.status]?.content;
  const schema = content?.[contentType]?.schema;
  if (schema === undefined) return [`no schema for ${answer.status} ${contentType}`];
  const validator = validatorOf(schema);
  return bodiesOf(contentType, answer.body).flatMap((body) => {
    if (validator.Check(body)) return [];
    return [`${JSON.stringify(body)}: ${JSON.stringify(validator.Errors(body))}`];
  });
}

const validators = new WeakMap<Schema, ReturnType<typeof Compile>>();

/** To compile a schema takes longer than the whole exchange. */
function validatorOf(schema: Schema): ReturnType<typeof Compile> {
  const known = validators.get(schema);
  if (known !== undefined) return known;
  const validator = Compile(closed(schema) as Schema);
  validators.set(schema, validator);
  return validator;
}

/** `/v1/models/{id}` is where `/v1/models/a` is described. */
function operationAt(
  paths: ApiDescription['paths'],
  asked: string,
): ApiDescription['paths'][string] | undefined {
  const path = asked.split('?')[0] ?? '';
  if (Object.hasOwn(paths, path)) return paths[path];
  const template = Object.keys(paths).find((known) =>
    new RegExp(`^${known.replace(/[.*+?^$()|[\]\\]/g, '\\$&').replace(/\{[^}]*\}/g, '.+')}$`).test(path),
  );
  return template === undefined ? undefined : paths[template];
}

function bodiesOf(contentType: string, body: string): unknown[] {
  if (contentType === 'application/x-ndjson')
    return body
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line));
  if (contentType !== 'text/event-stream') return [JSON.parse(body)];
  const lines = body.split('\n').filter((line) => line.startsWith('data: {'));
  return lines.map((line) => JSON.parse(line.slice('data: '.length)));
}

/** The same schema with every object closed that does not say that it is open. */
function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed);
  if (typeof schema !== 'object' || schema === null) return schema;
  const entries = Object.entries(schema).map(([key, value]) => [key, closed(value)]);
  return {
    ...('properties' in schema ? { additionalProperties: false } : {}),
    ...Object.fromEntries(entries),
  };
}
