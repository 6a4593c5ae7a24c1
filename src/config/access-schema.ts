/** The part of the configuration's schema that is about who may call, how much, and what it came to. */
import { Type } from 'typebox';
import { LIMIT_KINDS, LIMIT_NAMES, type LimitName, MAX_BUDGET } from '../core/limit-names.ts';

const closed = { additionalProperties: false, default: {} } as const;

/** One that stands alone is known by its place: `api_keys[0]`. */
const configuredKey = Type.Union(
  [
    Type.String({ minLength: 8, secret: true }),
    Type.Object(
      {
        name: Type.String({ minLength: 1, maxLength: 100 }),
        key: Type.String({ minLength: 8, secret: true }),
      },
      { additionalProperties: false, title: 'an object with name and key' },
    ),
  ],
  { secret: true },
);

export const auth = Type.Object(
  {
    api_keys: Type.Array(configuredKey, {
      default: [],
      secret: true,
      description:
        'Accepted as a Bearer token, x-api-key or api-key, beside the keys of access.store. Each is a string, or has a name and a key: limits.keys and usage go by the name.',
    }),
    allow_open: Type.Boolean({
      default: false,
      description:
        'Allows listening beyond loopback without keys, and on loopback the clients of server.trusted_proxies without keys.',
    }),
    admin_keys: Type.Array(configuredKey, {
      default: [],
      secret: true,
      description:
        'Accepted by the routes under /admin, beside keys of access.store that may administer. Written as api_keys are. Without any, these routes answer only requests from this machine: a loopback address and Host, and no header of a proxy.',
    }),
  },
  closed,
);

export const access = Type.Object(
  {
    store: Type.Optional(
      Type.String({
        pattern: '^(memory:$|sqlite:.+|postgres(ql)?://)',
        title: 'sqlite:PATH, postgres://… or memory:',
        secret: true,
        description:
          'Where keys, usage and the audit log are kept: sqlite:PATH, postgres://…, or memory: (nothing is kept). Default: a SQLite file in data.directory.',
      }),
    ),
  },
  closed,
);

export const data = Type.Object(
  {
    directory: Type.Optional(
      Type.String({
        minLength: 1,
        description: 'Folder for what the server keeps; default: llm-serve in the XDG data folder.',
      }),
    ),
  },
  closed,
);

export const usage = Type.Object(
  {
    enabled: Type.Boolean({
      default: true,
      description: 'Counts requests, tokens and money by key, team, model, target and hour, in access.store.',
    }),
    flush_seconds: Type.Number({
      exclusiveMinimum: 0,
      maximum: 3600,
      default: 0.5,
      description:
        'Time from one write to the next, at least; a server that is killed loses no more than that.',
    }),
    max_rows: Type.Integer({
      minimum: 1,
      maximum: 10_000_000,
      default: 50_000,
      description:
        'Rows kept while the store can’t be written: one for each hour, key, model and target. More are dropped and counted.',
    }),
  },
  closed,
);

const pricePerMillion = (description: string) => Type.Optional(Type.Number({ minimum: 0, description }));

export const prices = Type.Object(
  {
    currency: Type.String({
      minLength: 1,
      maxLength: 8,
      default: 'USD',
      description: 'Of all prices and budgets.',
    }),
    models: Type.Record(
      Type.String(),
      Type.Object(
        {
          prompt: pricePerMillion('Per 1,000,000 tokens of prompts that were not cached.'),
          cached_prompt: pricePerMillion(
            'Per 1,000,000 tokens of prompts that were cached; default: as prompt.',
          ),
          completion: pricePerMillion('Per 1,000,000 tokens of answers.'),
        },
        { additionalProperties: false },
      ),
      {
        default: {},
        description: 'By model id: prompt, cached_prompt and completion, each per 1,000,000 tokens.',
      },
    ),
  },
  closed,
);

/** One setting for each limit. */
const limitSet = Type.Object(
  Object.fromEntries(
    LIMIT_NAMES.map((name: LimitName) => {
      const { counts, description } = LIMIT_KINDS[name];
      const amount =
        counts === 'money'
          ? Type.Number({ minimum: 0, maximum: MAX_BUDGET, description })
          : Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER, description });
      return [name, Type.Optional(amount)] as const;
    }),
  ) as Record<LimitName, ReturnType<typeof Type.Optional<ReturnType<typeof Type.Number>>>>,
  { additionalProperties: false },
);

/** Set as a whole: eleven flags for each of them would hide the others. */
const ofEach = (what: string) =>
  Type.Object(limitSet.properties, {
    ...closed,
    isOneSetting: true,
    description: `Limits ${what}: ${LIMIT_NAMES.join(', ')}.`,
  });

const byName = (what: string) => Type.Record(Type.String(), limitSet, { default: {}, description: what });

export const limits = Type.Object(
  {
    store: Type.String({
      default: 'memory:',
      secret: true,
      description:
        'Where limits are counted: memory: (each process its own), or a Valkey or Redis that all replicas share: valkey://USER:PASSWORD@HOST:PORT/DATABASE, valkeys:// for TLS, unix:PATH, valkey+sentinel://HOST:PORT,HOST:PORT/NAME, valkey+cluster://HOST:PORT,HOST:PORT; ?prefix=NAME keeps several apart in one server.',
    }),
    timeout_ms: Type.Integer({
      minimum: 1,
      maximum: 10_000,
      default: 50,
      description: 'For a decision of the shared store; after it, limits.on_failure holds.',
    }),
    on_failure: Type.Enum(['local', 'open', 'closed'], {
      default: 'local',
      description:
        'While the shared store can’t decide. local: each replica admits its even share of the limits; open: everything is admitted; closed: nothing that is limited is.',
    }),
    all: ofEach('of the server as a whole'),
    per_key: ofEach('of each key that has none of its own by that name'),
    per_team: ofEach('of each team, all of its keys together'),
    per_address: ofEach('of each address, whatever its keys'),
    per_model: ofEach('of each model, whoever asks it'),
    keys: byName('By the name of a key of auth.api_keys, in place of limits.per_key.'),
    teams: byName('By the name of a team, in place of limits.per_team.'),
    models: byName('By the id of a model, in place of limits.per_model.'),
  },
  closed,
);

export const leases = Type.Object(
  {
    store: Type.String({
      default: 'memory:',
      secret: true,
      description:
        'Where the slots of targets are divided among the servers that use the same ones: memory: (each server counts for itself), or a Valkey or Redis, written as in limits.store; it may be the same one.',
    }),
    lease_seconds: Type.Number({
      minimum: 2,
      maximum: 60,
      default: 3,
      description:
        'For so long slots are leased; renewed four times a second. What a server held that is gone without a word is given to others after that. The same in all servers.',
    }),
    timeout_ms: Type.Integer({
      minimum: 10,
      maximum: 10_000,
      default: 500,
      description: 'For an answer of the lease store. No request waits for it.',
    }),
    on_failure: Type.Enum(['share', 'stop'], {
      default: 'share',
      description:
        'While the lease store can’t be asked, and the leases have ended. share: each server uses an even share, by the servers that there were last; stop: none begins anything at shared targets.',
    }),
  },
  closed,
);

export const admin = Type.Object(
  {
    port: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 65535,
        description:
          'The routes under /admin, and the page’s Admin view, are served there alone; default: beside all others.',
      }),
    ),
    host: Type.String({
      minLength: 1,
      default: '127.0.0.1',
      description: 'Address that admin.port listens on. Others can only reach it with an admin key.',
    }),
    metrics: Type.Boolean({
      default: false,
      description: 'GET /metrics is served on admin.port instead.',
    }),
  },
  closed,
);
