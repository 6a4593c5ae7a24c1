/**
 * /admin/keys: keys of the store are listed, made, changed, revoked, given another secret. Each change is written to the audit log
 * before it is made, and not made where that fails; where it fails itself, a second entry says so.
 */
import { Type } from 'typebox';
import type { AuditedAction, AuditTrail } from '../../../access/audit-trail.ts';
import type { KeyAdministration, MadeKey } from '../../../access/key-administration.ts';
import { KeyChangeFields, NewKeyFields, readKeyChanges, readNewKey } from '../../../access/key-fields.ts';
import type { KeyRecord } from '../../../access/key-record.ts';
import { newKeyId } from '../../../access/key-text.ts';
import { KeyViewSchema, keyView } from '../../../access/key-view.ts';
import type { Clock } from '../../../core/clock.ts';
import { toServingError } from '../../../core/errors.ts';
import { bodyReader } from '../../../protocols/body-reader.ts';
import { ErrorAnswer } from '../../../protocols/catalog.ts';
import type { EdgeRoute, RequestContext } from '../../context.ts';
import { type DescribedOperation, json } from '../operations.ts';
import {
  ADMIN_PREFIX,
  actionOf,
  adminRoute,
  NO_STORE,
  NOT_FOUND,
  NOT_VALID,
  parameterOf,
  REFUSALS,
  refuseFields,
} from './admin-route.ts';
import { LimitState, type LimitStates } from './limits.ts';

export interface KeyRouteOptions {
  readonly clock: Clock;
  readonly keys: KeyAdministration;
  readonly audit: AuditTrail;
  /** The limits that hold for a key, with what is left of each. */
  readonly limitStatesOf: (record: KeyRecord) => LimitStates | Promise<LimitStates>;
}

const KeysAnswer = Type.Object({ keys: Type.Array(KeyViewSchema) });
const KeyAnswer = Type.Object({
  ...KeyViewSchema.properties,
  limit_states: Type.Array(LimitState, { description: 'All limits that its requests are held against.' }),
});
const MadeKeyAnswer = Type.Object({
  ...KeyViewSchema.properties,
  key: Type.String({ description: 'The secret. It is shown in this answer alone.' }),
});
const RotateFields = Type.Object(
  {
    overlap_seconds: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 31_536_000,
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

export const DESCRIBED_KEYS: readonly DescribedOperation[] = [
  {
    path: KEYS,
    summary: 'All keys of the store',
    description: 'Revoked ones included, in the order in which they were made.',
    answers: { 200: json(KeysAnswer), ...REFUSALS, ...NO_STORE },
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
  const { clock, keys, audit, limitStatesOf } = options;
  const view = (record: KeyRecord) => keyView(record, clock.wallNow());
  const made = ({ record, key }: MadeKey) => ({ ...view(record), key });
  const find = (context: RequestContext) => keys.find(parameterOf(context));
  const audited = async <Value>(action: AuditedAction, change: () => Promise<Value>): Promise<Value> => {
    await audit.require(action);
    try {
      return await change();
    } catch (error) {
      await audit.note({ ...action, details: { ...action.details, failed: toServingError(error).code } });
      throw error;
    }
  };
  return [
    adminRoute({
      method: 'GET',
      path: KEYS,
      handle: async (context) => context.answerJson(200, { keys: (await keys.list()).map(view) }),
    }),
    adminRoute({
      method: 'POST',
      path: KEYS,
      takesBody: true,
      handle: async (context) => {
        // Before it is written down: a body that is refused may have a secret in the wrong place.
        const { name, ...settings } = readNewKey(context.body, clock.wallNow());
        const keyId = newKeyId();
        const action = actionOf(context, 'key.create', keyId, { name, ...settingsOf(settings) });
        context.answerJson(201, made(await audited(action, () => keys.create(context.body, keyId))));
      },
    }),
    adminRoute({
      method: 'GET',
      path: `${KEYS}/*`,
      handle: async (context) => {
        const record = await find(context);
        context.answerJson(200, { ...view(record), limit_states: await limitStatesOf(record) });
      },
    }),
    adminRoute({
      method: 'PATCH',
      path: `${KEYS}/*`,
      takesBody: true,
      handle: async (context) => {
        const record = await find(context);
        const changes = readKeyChanges(context.body, record, clock.wallNow());
        const details = { name: record.name, changed: settingsOf(changes) };
        const action = actionOf(context, 'key.change', record.id, details);
        const changed = await audited(action, () => keys.change(record.id, context.body));
        context.answerJson(200, view(changed));
      },
    }),
    adminRoute({
      method: 'POST',
      path: `${KEYS}/*/revoke`,
      takesBody: true,
      handle: async (context) => {
        refuseFields(context);
        const record = await find(context);
        const action = actionOf(context, 'key.revoke', record.id, { name: record.name });
        context.answerJson(200, view(await audited(action, () => keys.revoke(record.id))));
      },
    }),
    adminRoute({
      method: 'POST',
      path: `${KEYS}/*/rotate`,
      takesBody: true,
      handle: async (context) => {
        const { overlap_seconds = 0 } = readRotation(context.body ?? {});
        const record = await find(context);
        const action = actionOf(context, 'key.rotate', record.id, { name: record.name, overlap_seconds });
        const overlapMs = overlap_seconds * 1000;
        context.answerJson(200, made(await audited(action, () => keys.rotate(record.id, { overlapMs }))));
      },
    }),
  ];
}

/** What is set, by the names of the wire; a setting that is taken away is null. */
function settingsOf(settings: Partial<KeyRecord>): Readonly<Record<string, unknown>> {
  const entries = Object.entries(settings).map(([name, value]) => {
    const wireName = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    const isTime = name === 'expiresAt' && typeof value === 'number';
    return [wireName, isTime ? new Date(value).toISOString() : (value ?? null)];
  });
  return Object.fromEntries(entries);
}
