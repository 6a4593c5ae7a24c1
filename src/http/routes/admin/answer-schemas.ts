/**
 * What the routes under /admin answer, as schemas: of its description, and the types that the routes and the Admin view of the page
 * share. It imports nothing that serves, so that the page can take its types from here.
 */
import { type Static, Type } from 'typebox';
import { KeyViewSchema } from '../../../access/key-view.ts';
import { WAITING_REASONS } from '../../../core/live-snapshot.ts';
import { PRIORITIES } from '../../../core/priority.ts';
import { HEALTH_STATES, type HealthState } from '../../../scheduling/target-health.ts';
import { LeasedSlots } from '../leased-slots-schema.ts';

const wholeNumber = (description: string) => Type.Integer({ minimum: 0, description });
const textOrNull = (description: string) => Type.Union([Type.String(), Type.Null()], { description });
const milliseconds = (description: string) => Type.Integer({ description });

const activeProperties = {
  id: Type.String({
    description: 'To cancel it by. Of the whole request: its choices share it, and its tries.',
  }),
  request_id: Type.String({ description: 'As its answer and the log have it: X-Request-Id.' }),
  client: Type.String({ description: 'The name of its key, or else the address that it is limited by.' }),
  key: textOrNull('The name of its key; null: it came without one.'),
  team: textOrNull('Of its key.'),
  model: Type.String(),
  priority: Type.Enum([...PRIORITIES]),
  attempt: Type.Integer({ minimum: 1, description: '1: the first.' }),
  prompt_tokens: wholeNumber('An estimate until the backend reports it; 0 between two attempts.'),
  waited_ms: milliseconds('In the queue, for this attempt.'),
};

const Waiting = Type.Object({
  ...activeProperties,
  position: Type.Integer({ minimum: 1, description: '1 is next.' }),
  reason: Type.Enum([...WAITING_REASONS], { description: 'Why it has no slot yet.' }),
  expires_in_ms: milliseconds('Its wait ends then without a slot.'),
  eta_ms: Type.Union([Type.Integer(), Type.Null()], { description: 'An estimate of what is left.' }),
});

const Running = Type.Object({
  ...activeProperties,
  target: Type.String(),
  slot: wholeNumber('Its number at the target, from 0.'),
  running_ms: milliseconds('Since it has its slot.'),
  completion_tokens: wholeNumber('So far.'),
});

export const QueueAnswer = Type.Object({
  waiting: Type.Array(Waiting, { description: 'In the order in which they would be served now.' }),
  running: Type.Array(Running, { description: 'In the order in which they began.' }),
  totals: Type.Object(
    { waiting: Type.Integer(), running: Type.Integer() },
    { description: 'Of all models, those included that limit leaves out.' },
  ),
});

export const CancelAnswer = Type.Object({ id: Type.String(), request_id: Type.String() });

export const LimitState = Type.Object({
  scope: Type.String({ description: 'Whom it holds for: all, key:alice, team:red, model:small.' }),
  name: Type.String({ description: 'The name of the limit: requests_per_minute, …; or rate_limit.' }),
  limit: Type.Number({ description: 'In requests, tokens, or units of the currency.' }),
  remaining: Type.Number(),
  resets_at: Type.Union([Type.String({ format: 'date-time' }), Type.Null()], {
    description: 'When something can be admitted again, or when the day or month ends; null: it can be now.',
  }),
});

export const LimitsAnswer = Type.Object({
  limits: Type.Array(LimitState),
  next: Type.Union([Type.String(), Type.Null()], {
    description: 'The after that gives the limits of the next keys; null: there are none.',
  }),
});

export const KeysAnswer = Type.Object({
  keys: Type.Array(KeyViewSchema),
  next: Type.Union([Type.String(), Type.Null()], {
    description: 'The after that gives the next keys; null: there are none.',
  }),
});

export const KeyAnswer = Type.Object({
  ...KeyViewSchema.properties,
  limit_states: Type.Array(LimitState, { description: 'All limits that its requests are held against.' }),
});
export const MadeKeyAnswer = Type.Object({
  ...KeyViewSchema.properties,
  key: Type.String({ description: 'The secret. It is shown in this answer alone.' }),
});
export const TargetAnswer = Type.Object({
  name: Type.String(),
  model: Type.String(),
  backend: Type.String(),
  status: Type.String({ description: 'What its probe reports, as in GET /ready.' }),
  health: Type.Enum(Object.keys(HEALTH_STATES) as HealthState[]),
  running: wholeNumber('Requests that run there; a drain waits for them.'),
});

export const TargetState = Type.Object({
  ...TargetAnswer.properties,
  loaded: Type.Boolean(),
  slots: wholeNumber('As many as it has now.'),
  used: wholeNumber('Slots that are taken.'),
  tokens_in_flight: wholeNumber('Estimated tokens of what runs there.'),
  ejections: Type.Record(Type.String(), Type.Integer(), { description: 'How often, by cause.' }),
  lease: Type.Optional(LeasedSlots),
});

export const TargetsAnswer = Type.Object({ targets: Type.Array(TargetState) });

export const Entry = Type.Object({
  at: Type.String({ format: 'date-time' }),
  actor: Type.String({
    description:
      'The name of the admin key; "this machine" without one; "command line: USER" of llm-serve keys, by the operating system (", sudo by USER" by the environment, where SUDO_USER is set).',
  }),
  address: Type.String({
    description: 'From where: the address of the client; for the command line the name of its machine.',
  }),
  action: Type.String({ description: 'key.create, target.drain, …' }),
  subject: Type.String({ description: 'The name or id of what it was done to.' }),
  details: Type.Object(
    {},
    {
      additionalProperties: true,
      description: 'What was set. failed: the action failed, with that error code.',
    },
  ),
  damage: Type.Optional(
    Type.String({
      description: 'Which of these can’t be read from the store: at is not when it was then. Absent: none.',
    }),
  ),
});

export const AuditAnswer = Type.Object({ entries: Type.Array(Entry, { description: 'The newest first.' }) });

export type ConfigurationAnswer = Static<typeof ConfigurationAnswer>;

export const ConfigurationAnswer = Type.Object({
  configuration: Type.Object(
    {},
    {
      additionalProperties: true,
      description: 'As a configuration file would have it, defaults included. A secret is "(secret)".',
    },
  ),
  sources: Type.Record(Type.String(), Type.Enum(['flag', 'environment', 'file']), {
    description: 'By the key of a setting (server.port), where its value comes from. Absent: its default.',
  }),
  needs_restart: Type.Array(Type.String(), {
    description: 'Keys of the settings that a reload leaves as they are.',
  }),
});

export const ReloadAnswer = Type.Object({
  changed: Type.Array(Type.String(), {
    description:
      'What is different now, one line each: targets, models, and settings with their old and new value.',
  }),
  unchanged_needs_restart: Type.Array(Type.String(), {
    description: 'Keys of settings that the configuration has otherwise and that need a restart.',
  }),
});
