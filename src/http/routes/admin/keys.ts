/** /admin/keys: keys of the store are listed, made, changed, revoked, given another secret. */
import { type Static, Type } from 'typebox';
import type { AuditTrail } from '../../../access/audit-trail.ts';
import { AuditedKeys } from '../../../access/audited-keys.ts';
import {
  type KeyAdministration,
  MAX_OVERLAP_SECONDS,
  type MadeKey,
} from '../../../access/key-administration.ts';
import { KeyChangeFields, NewKeyFields } from '../../../access/key-fields.ts';
import type { KeysQuery } from '../../../access/key-page.ts';
import type { KeyRecord } from '../../../access/key-record.ts';
import { KeyViewSchema, keyView } from '../../../access/key-view.ts';
import type { Clock } from '../../../core/clock.ts';
import { ServingError } from '../../../core/errors.ts';
import { bodyReader } from '../../../protocols/body-reader.ts';
import { ErrorAnswer } from '../../../protocols/catalog.ts';
import type { EdgeRoute, RequestContext } from '../../context.ts';
import type { ReadingLine } from '../../reading-line.ts';
import { type DescribedOperation, json, type QueryParameter } from '../operations.ts';
import {
  ADMIN_PREFIX,
  adminRoute,
  flagFrom,
  keyActorOf,
  NO_STORE,
  NOT_FOUND,
  NOT_VALID,
  numberFrom,
  parameterOf,
  queryOf,
  REFUSALS,
  refuseFields,
} from './admin-route.ts';
import { KeyAnswer, KeysAnswer, MadeKeyAnswer } from './answer-schemas.ts';
import type { LimitStates } from './limits.ts';

export interface KeyRouteOptions {
  readonly clock: Clock;
  readonly keys: KeyAdministration;
  readonly audit: AuditTrail;
  readonly readings: ReadingLine;
  /** The limits that hold for a key, with what is left of each. */
  readonly limitStatesOf: (record: KeyRecord) => LimitStates | Promise<LimitStates>;
}

const RotateFields = Type.Object(
  {
    overlap_seconds: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: MAX_OVERLAP_SECONDS,
        default: 0,
        description: 'For so long the secret before is accepted as well.',
      }),
    ),
  },
  { additionalProperties: false },
);
const readRotation = bodyReader(RotateFields);

const KEYS = `${ADMIN_PREFIX}keys`;
const id = { name: 'id', description: 'Its id, or its name.' };
const changing = { ...NOT_VALID, ...REFUSALS, ...NOT_FOUND, ...NO_STORE };
const TAKEN = { 409: json(ErrorAnswer) };

/** With those of more, an answer would be as long as nobody reads it. */
const AT_ONCE = { least: 1, most: 1000, usual: 1000 } as const;
const LONGEST_FILTER = 200;

const QUERY: readonly QueryParameter[] = [
  {
    name: 'limit',
    schema: Type.Integer({
      minimum: AT_ONCE.least,
      maximum: AT_ONCE.most,
      default: AT_ONCE.usual,
      description: 'So many keys.',
    }),
  },
  {
    name: 'after',
    schema: Type.String({
      description: 'Only keys that were made later: the next of the answer before. 400: no key has that id.',
    }),
  },
  {
    name: 'filter',
    schema: Type.String({
      maxLength: LONGEST_FILTER,
      description:
        'Only keys that have all these words, with spaces between them, in their name, team, id or labels (as JSON has them). Capital letters from A to Z are as small ones.',
    }),
  },
  {
    name: 'revoked',
    schema: Type.Boolean({ default: true, description: 'Whether those are listed that are revoked.' }),
  },
];

export const DESCRIBED_KEYS: readonly DescribedOperation[] = [
  {
    path: KEYS,
    summary: 'The keys of the store',
    description: 'In the order in which they were made, so many in each answer.',
    query: QUERY,
    answers: { 200: json(KeysAnswer), ...NOT_VALID, ...REFUSALS, ...NO_STORE },
  },
  {
    path: KEYS,
    method: 'POST',
    summary: 'Make a key',
    description: 'All servers that share the store accept it within a second.',
    body: {
      schema: NewKeyFields,
      examples: {
        'A team’s key': {
          name: 'alice',
          team: 'red',
          limits: { requests_per_minute: 60, tokens_per_day: 1_000_000 },
        },
      },
    },
    answers: { 201: json(MadeKeyAnswer), ...NOT_VALID, ...REFUSALS, ...TAKEN, ...NO_STORE },
  },
  {
    path: `${KEYS}/{id}`,
    summary: 'One key, and what is left of its limits',
    parameter: id,
    answers: { 200: json(KeyAnswer), ...REFUSALS, ...NOT_FOUND, ...NO_STORE },
  },
  {
    path: `${KEYS}/{id}`,
    method: 'PATCH',
    summary: 'Change a key',
    description:
      'What is absent stays; null takes away. Of labels and limits, those that are not named stay.',
    parameter: id,
    body: {
      schema: KeyChangeFields,
      examples: { 'Another limit': { limits: { tokens_per_day: 2_000_000, requests_per_minute: null } } },
    },
    answers: { 200: json(KeyViewSchema), ...changing, ...TAKEN },
  },
  {
    path: `${KEYS}/{id}/revoke`,
    method: 'POST',
    summary: 'Revoke a key',
    description: 'For good: a key that is revoked stays so. Requests under way are finished.',
    parameter: id,
    answers: { 200: json(KeyViewSchema), ...changing },
  },
  {
    path: `${KEYS}/{id}/rotate`,
    method: 'POST',
    summary: 'Give a key another secret',
    parameter: id,
    body: {
      schema: RotateFields,
      isOptional: true,
      examples: { 'An hour for both': { overlap_seconds: 3600 } },
    },
    answers: { 200: json(MadeKeyAnswer), ...changing },
  },
];

export function keyRoutes(options: KeyRouteOptions): readonly EdgeRoute[] {
  const { clock, keys, audit, readings, limitStatesOf } = options;
  const view = (record: KeyRecord) => keyView(record, clock.wallNow());
  const made = ({ record, key }: MadeKey) => ({ ...view(record), key });
  const audited = new AuditedKeys({ keys, audit, now: () => clock.wallNow() });
  return [
    adminRoute({
      method: 'GET',
      path: KEYS,
      handle: async (context) => {
        const query = keysQueryOf(context);
        const page = await readings.read(context, () => keys.page(query));
        if (page === undefined)
          throw new ServingError('invalid_request', {
            message: 'after must be the next of an earlier answer: no key has that id.',
            param: 'after',
          });
        const { records, next = null } = page;
        context.answerJson(200, { keys: records.map(view), next } satisfies Static<typeof KeysAnswer>);
      },
    }),
    adminRoute({
      method: 'POST',
      path: KEYS,
      takesBody: true,
      handle: async (context) =>
        context.answerJson(201, made(await audited.create(keyActorOf(context), context.body))),
    }),
    adminRoute({
      method: 'GET',
      path: `${KEYS}/*`,
      handle: async (context) => {
        const record = await keys.find(parameterOf(context));
        context.answerJson(200, { ...view(record), limit_states: await limitStatesOf(record) });
      },
    }),
    adminRoute({
      method: 'PATCH',
      path: `${KEYS}/*`,
      takesBody: true,
      handle: async (context) => {
        const changed = await audited.change(keyActorOf(context), parameterOf(context), context.body);
        context.answerJson(200, view(changed));
      },
    }),
    adminRoute({
      method: 'POST',
      path: `${KEYS}/*/revoke`,
      takesBody: 'optional',
      handle: async (context) => {
        refuseFields(context);
        context.answerJson(200, view(await audited.revoke(keyActorOf(context), parameterOf(context))));
      },
    }),
    adminRoute({
      method: 'POST',
      path: `${KEYS}/*/rotate`,
      takesBody: 'optional',
      handle: async (context) => {
        const { overlap_seconds = 0 } = readRotation(context.body ?? {});
        const overlap = { overlapMs: overlap_seconds * 1000 };
        const rotated = await audited.rotate(keyActorOf(context), parameterOf(context), overlap);
        context.answerJson(200, made(rotated));
      },
    }),
  ];
}

/** Throws `invalid_request`. */
function keysQueryOf(context: RequestContext): KeysQuery {
  const words = queryOf(context.request.url);
  const filter = words.get('filter') ?? '';
  if (filter.length > LONGEST_FILTER)
    throw new ServingError('invalid_request', {
      message: `filter has ${filter.length} characters, but may have at most ${LONGEST_FILTER}.`,
      param: 'filter',
    });
  return {
    limit: numberFrom(context, 'limit', AT_ONCE),
    after: words.get('after') ?? undefined,
    filter,
    withRevoked: flagFrom(context, 'revoked', true),
  };
}
