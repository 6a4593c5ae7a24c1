/**
 * The fields of a key that can be set, by the names that the command line, the admin API and its page share: their schema, and what
 * becomes of them. Pure.
 */
import { type Static, type TSchema, Type } from 'typebox';
import { ServingError } from '../core/errors.ts';
import { parseIsoTime } from '../core/iso-time.ts';
import { LIMIT_KINDS, LIMIT_NAMES, type LimitName, type Limits, MAX_BUDGET } from '../core/limit-names.ts';
import { PRIORITIES } from '../core/priority.ts';
import { compileCheck, describeViolation } from '../schema/violation.ts';
import type { KeyRecord } from './key-record.ts';

const MAX_NAME_LENGTH = 100;
const MAX_LABELS = 32;
const MAX_LABEL_NAME_LENGTH = 63;
/** They are written as name=value. Code points, so that a name is not cut within a character. */
const LABEL_NAME = new RegExp(`^[^=\\p{Cc}\\u2028\\u2029]{1,${MAX_LABEL_NAME_LENGTH}}$`, 'u');
const MAX_MODELS = 200;
/** Names are shown in logs and terminals, and typed there. `key_` begins an id. */
const NAME_PATTERN =
  '^(?!key_)[^\\s\\u0000-\\u0020\\u007f-\\u009f]([^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029]*[^\\s])?$';
const NAME_RULE = `a string of at most ${MAX_NAME_LENGTH} characters, without line breaks, without spaces at its ends, not beginning with key_`;

const nameSchema = (description: string) =>
  Type.String({
    minLength: 1,
    maxLength: MAX_NAME_LENGTH,
    pattern: NAME_PATTERN,
    title: NAME_RULE,
    description,
  });

const orNull = <Schema extends TSchema>(schema: Schema, description: string) =>
  Type.Optional(Type.Union([schema, Type.Null()], { description }));

const limitAmount = (name: LimitName) => {
  const { counts, description } = LIMIT_KINDS[name];
  const amount =
    counts === 'money'
      ? Type.Number({ minimum: 0, maximum: MAX_BUDGET })
      : Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER });
  return Type.Optional(Type.Union([amount, Type.Null()], { description }));
};

const limitAmounts = Object.fromEntries(LIMIT_NAMES.map((name) => [name, limitAmount(name)])) as Record<
  LimitName,
  ReturnType<typeof limitAmount>
>;

const settable = {
  team: orNull(nameSchema(''), 'Usage and limits can go by it.'),
  labels: Type.Optional(
    Type.Union(
      [
        Type.Record(Type.String(), Type.Union([Type.String({ maxLength: 200 }), Type.Null()]), {
          maxProperties: MAX_LABELS,
        }),
        Type.Null(),
      ],
      {
        description: `At most ${MAX_LABELS}, whose names have at most ${MAX_LABEL_NAME_LENGTH} characters, no =, no line breaks and no spaces at their ends. Where a key is changed, others stay, and null removes one.`,
      },
    ),
  ),
  models: orNull(
    Type.Array(Type.String({ minLength: 1, maxLength: 500 }), { minItems: 1, maxItems: MAX_MODELS }),
    'Ids of the models that it may use; null: all.',
  ),
  highest_priority: orNull(
    Type.Enum([...PRIORITIES]),
    'A higher one that is asked for is lowered to it; null: as the configuration allows the address.',
  ),
  limits: Type.Optional(
    Type.Union([Type.Object(limitAmounts, { additionalProperties: false }), Type.Null()], {
      description: 'Its own limits. Where a key is changed, others stay, and null removes one.',
    }),
  ),
  may_admin: Type.Optional(Type.Boolean({ description: 'It may call the routes under /admin.' })),
  expires_at: orNull(
    Type.String({ minLength: 1, title: 'a date and time such as 2027-01-31T12:00:00Z' }),
    'From then on it is refused; null: never.',
  ),
  expires_in: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 10_000_000_000, description: 'The same, in seconds from now.' }),
  ),
};

/** For a new key. */
export const NewKeyFields = Type.Object(
  { name: nameSchema('Unique among the keys that are not revoked.'), ...settable },
  { additionalProperties: false },
);

/** Of a key that is there. What is absent stays; null takes away. */
export const KeyChangeFields = Type.Object(
  { name: Type.Optional(nameSchema('Unique among the keys that are not revoked.')), ...settable },
  { additionalProperties: false },
);

/** What a person decides about a key. */
export type KeySettings = Pick<
  KeyRecord,
  'name' | 'team' | 'labels' | 'models' | 'highestPriority' | 'limits' | 'mayAdmin' | 'expiresAt'
>;

const NOTHING_SET: Omit<KeySettings, 'name'> = {
  team: undefined,
  labels: {},
  models: undefined,
  highestPriority: undefined,
  limits: {},
  mayAdmin: false,
  expiresAt: undefined,
};

export type KeyChangeRequest = Static<typeof KeyChangeFields>;

const checkNew = compileCheck<Static<typeof NewKeyFields>>(NewKeyFields);
const checkChange = compileCheck<KeyChangeRequest>(KeyChangeFields);

/** `now`: since the Unix epoch. Throws `invalid_request` with a message that names the field. */
export function readNewKey(fields: unknown, now: number): KeySettings {
  const checked = checkNew(fields);
  if ('violation' in checked) throw refusal(checked.violation);
  const { name } = checked.value;
  return { name, ...NOTHING_SET, ...settingsOf(checked.value, NOTHING_SET, now) };
}

/** Only what changes. `known`: the key as it is. Throws `invalid_request` with a message that names the field. */
export function readKeyChanges(
  fields: unknown,
  known: Pick<KeyRecord, 'labels' | 'limits'>,
  now: number,
): Partial<KeySettings> {
  const checked = checkChange(fields);
  if ('violation' in checked) throw refusal(checked.violation);
  const { name } = checked.value;
  return { ...(name !== undefined && { name }), ...settingsOf(checked.value, known, now) };
}

/** Of the fields that are there. */
function settingsOf(
  fields: Omit<KeyChangeRequest, 'name'>,
  known: Pick<KeyRecord, 'labels' | 'limits'>,
  now: number,
): Partial<KeySettings> {
  const { team, labels, models, highest_priority, limits, may_admin } = fields;
  const expiry = expiryOf(fields, now);
  return {
    ...(team !== undefined && { team: team ?? undefined }),
    ...(labels !== undefined && { labels: labelsOf(known.labels, labels) }),
    ...(models !== undefined && { models: models === null ? undefined : [...new Set(models)] }),
    ...(highest_priority !== undefined && { highestPriority: highest_priority ?? undefined }),
    ...(limits !== undefined && { limits: merged<number>(known.limits, limits) as Limits }),
    ...(may_admin !== undefined && { mayAdmin: may_admin }),
    ...(expiry !== undefined && { expiresAt: expiry ?? undefined }),
  };
}

/** Those that a key has from before the rules stay, and can be removed. */
function labelsOf(
  known: KeyRecord['labels'],
  changes: Readonly<Record<string, string | null>> | null,
): KeyRecord['labels'] {
  const labels = merged(known, changes);
  for (const name of Object.keys(labels)) {
    if (Object.hasOwn(known, name) || (LABEL_NAME.test(name) && name.trim() === name)) continue;
    throw invalid(
      'labels',
      `labels has the name ${JSON.stringify(name.slice(0, MAX_NAME_LENGTH))}, but a name must have 1 to ${MAX_LABEL_NAME_LENGTH} characters, without =, line breaks, and spaces at its ends.`,
    );
  }
  const count = Object.keys(labels).length;
  if (count > Math.max(MAX_LABELS, Object.keys(known).length))
    throw invalid('labels', `The key would have ${count} labels, but may have at most ${MAX_LABELS}.`);
  return labels;
}

/** As a JSON merge patch (RFC 7396). */
function merged<Value>(
  known: Readonly<Record<string, Value>>,
  changes: Readonly<Record<string, Value | null | undefined>> | null,
): Readonly<Record<string, Value>> {
  if (changes === null) return {};
  const entries = Object.entries({ ...known, ...changes });
  return Object.fromEntries(
    entries.filter((entry): entry is [string, Value] => entry[1] !== null && entry[1] !== undefined),
  );
}

/** Null: never; undefined: not said. */
function expiryOf(
  { expires_at: at, expires_in: seconds }: Pick<KeyChangeRequest, 'expires_at' | 'expires_in'>,
  now: number,
): number | null | undefined {
  if (seconds !== undefined) {
    if (at !== undefined)
      throw invalid('expires_in', 'expires_at and expires_in are both given: leave one of them out.');
    return now + seconds * 1000;
  }
  if (at === undefined || at === null) return at;
  const time = parseIsoTime(at);
  if (time === undefined)
    throw invalid(
      'expires_at',
      `expires_at is ${JSON.stringify(at.slice(0, MAX_NAME_LENGTH))}, but must be a date and time such as 2027-01-31T12:00:00Z, or a date.`,
    );
  if (time <= now) throw invalid('expires_at', `expires_at is ${JSON.stringify(at)}, which has passed.`);
  return time;
}

function refusal(violation: Parameters<typeof describeViolation>[0]): ServingError {
  return invalid(violation.path, describeViolation(violation, 'The key'));
}

function invalid(param: string, message: string): ServingError {
  return new ServingError('invalid_request', { message, ...(param !== '' && { param }) });
}
