/**
 * What a reload changes: the configuration that runs and the one that is wanted in, what will run and what is different out. Pure.
 * Some settings stay as they are until a restart; the rules between settings are checked with those that will run.
 */
import { isDeepStrictEqual } from 'node:util';
import { shownAddress } from '../schema/shown-address.ts';
import {
  keepRateLimit,
  requireAdminKeysOffLoopback,
  requireKeysOffLoopback,
  type StoredKeys,
} from './access-rules.ts';
import type { Config } from './config.ts';
import { ConfigError } from './config-error.ts';
import type { LoadedConfig } from './load.ts';
import { checkRules } from './rules.ts';
import { SETTINGS, type Setting } from './settings.ts';

export interface ReloadPlan {
  /** As wanted, with the settings that need a restart as they are. */
  readonly config: Config;
  /** What changes, one line each: a target, or a setting with its old and its new value. */
  readonly changed: readonly string[];
  /** Keys of settings that are wanted otherwise and stay. */
  readonly needsRestart: readonly string[];
  /** Names of the targets that go on with the backend that they have; all others are created. */
  readonly kept: ReadonlySet<string>;
}

type Target = Config['models'][number]['targets'][number];

/** Bound to what exists once for the life of the process: a socket, the log, a folder, the tables of the scheduler. */
export const NEEDS_RESTART: ReadonlySet<string> = new Set([
  'server.host',
  'server.port',
  'server.workers',
  'server.body_timeout_seconds',
  'scheduler.mode',
  'scheduler.order',
  'scheduler.aging_ms',
  'scheduler.max_overtakes',
  'scheduler.max_tokens_in_flight',
  'access.store',
  'admin.port',
  'admin.host',
  'admin.metrics',
  'data.directory',
  'limits.store',
  'leases.store',
  'leases.lease_seconds',
  'leases.timeout_ms',
  'leases.on_failure',
  'rate_limit.max_keys',
  'logging.level',
  'logging.format',
  'tracing.endpoint',
  'tracing.headers',
  'tracing.sample_ratio',
  'tracing.content',
  'cache.directory',
  'cache.hub_url',
]);

/** Keys of a target that its backend does not use. Slots are not among them where the backend allocates them. */
const SERVING_KEYS: readonly string[] = [
  'name',
  'weight',
  'role',
  'first_token_timeout_ms',
  'idle_timeout_ms',
  'answer_timeout_ms',
];

/** Throws ConfigError where what would run breaks a rule. */
export function planReload(running: Config, read: Config, stored: StoredKeys): ReloadPlan {
  const wanted = keepRateLimit(read, running);
  const different = differentSettings(running, wanted);
  const staying = different.filter(({ key }) => NEEDS_RESTART.has(key));
  const config = asItWillRun(running, wanted, staying);
  checkWhatRuns(config, staying, stored);
  const before = targetsOf(running);
  const after = targetsOf(wanted);
  const kept = new Set(
    [...after].flatMap(([name, target]) => {
      const known = before.get(name);
      return known !== undefined && isSameBackend(known, target) ? [name] : [];
    }),
  );
  return {
    config,
    changed: [
      ...different
        .filter((setting) => !staying.includes(setting))
        .map((setting) => describe(setting, running, wanted)),
      ...modelChanges(running, wanted),
      ...targetChanges(before, after, kept),
    ],
    needsRestart: staying.map(({ key }) => key),
    kept,
  };
}

type Loaded = Pick<LoadedConfig, 'config' | 'sources'>;

/**
 * What is in force after a start with one configuration, and reloads of which the last one was to the other, for a process that starts now.
 * That reload was accepted, so nothing is checked again.
 */
export function reloadedSince(started: Loaded, reloaded: Loaded): Loaded {
  const wanted = keepRateLimit(reloaded.config, started.config);
  const staying = differentSettings(started.config, wanted).filter(({ key }) => NEEDS_RESTART.has(key));
  const stayingKeys = staying.map(({ key }) => key);
  return {
    config: asItWillRun(started.config, wanted, staying),
    sources: sourcesInForce(started.sources, reloaded.sources, stayingKeys),
  };
}

/** A setting that stays until a restart still comes from where it came. */
export function sourcesInForce(
  running: LoadedConfig['sources'],
  wanted: LoadedConfig['sources'],
  staying: readonly string[],
): LoadedConfig['sources'] {
  const stays = new Set(staying);
  const pick = (sources: LoadedConfig['sources'], isStaying: boolean) =>
    Object.entries(sources).filter(([key]) => stays.has(key) === isStaying);
  return Object.fromEntries([...pick(wanted, false), ...pick(running, true)]);
}

/** But models. */
function differentSettings(running: Config, wanted: Config): readonly Setting[] {
  return SETTINGS.filter(
    (setting) =>
      setting.key !== 'models' &&
      !isDeepStrictEqual(valueAt(running, setting.path), valueAt(wanted, setting.path)),
  );
}

/** The wanted configuration with some settings as they are. */
function asItWillRun(running: Config, wanted: Config, staying: readonly Setting[]): Config {
  const kept: Record<string, unknown> = { ...wanted };
  for (const { path } of staying) {
    const [section = '', name = ''] = path;
    kept[section] = { ...(kept[section] as object), [name]: valueAt(running, path) };
  }
  return kept as Config;
}

function checkWhatRuns(config: Config, staying: readonly Setting[], stored: StoredKeys): void {
  try {
    checkRules(config);
    requireKeysOffLoopback(config, stored);
    requireAdminKeysOffLoopback(config, stored);
  } catch (error) {
    if (staying.length === 0) throw error;
    const keys = staying.map(({ key }) => key).join(', ');
    throw new ConfigError(
      `Until a restart, ${keys} ${staying.length === 1 ? 'stays as it is' : 'stay as they are'}, and then: ${(error as Error).message}`,
    );
  }
}

function valueAt(config: Config, path: readonly string[]): unknown {
  let value: unknown = config;
  for (const name of path) value = (value as Readonly<Record<string, unknown>> | undefined)?.[name];
  return value;
}

function describe(setting: Setting, running: Config, wanted: Config): string {
  const { key, schema } = setting;
  if (schema.secret) return key;
  return `${key}: ${show(valueAt(running, setting.path))} → ${show(valueAt(wanted, setting.path))}`;
}

function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(shownAddress(value));
  return value === undefined ? 'unset' : JSON.stringify(value);
}

interface Placed {
  readonly model: string;
  readonly target: Target;
}

function targetsOf({ models }: Config): ReadonlyMap<string, Placed> {
  return new Map(
    models.flatMap(({ id, targets }) =>
      targets.map((target) => [target.name, { model: id, target }] as const),
    ),
  );
}

/** Its backend would be created from the same values, so the one that is there goes on. */
function isSameBackend(one: Placed, other: Placed): boolean {
  if (one.model !== other.model || one.target.definition !== other.target.definition) return false;
  return isDeepStrictEqual(backendValues(one.target), backendValues(other.target));
}

function backendValues({ definition, values }: Target): Readonly<Record<string, unknown>> {
  const ignored = definition.embedded ? SERVING_KEYS : [...SERVING_KEYS, 'slots'];
  return Object.fromEntries(Object.entries(values).filter(([key]) => !ignored.includes(key)));
}

function modelChanges(running: Config, wanted: Config): string[] {
  const before = new Map(running.models.map((model) => [model.id, model]));
  const after = new Map(wanted.models.map((model) => [model.id, model]));
  const removed = [...before.keys()].filter((id) => !after.has(id)).map((id) => `model ${id}: removed`);
  const others = [...after].flatMap(([id, model]) => {
    const known = before.get(id);
    if (known === undefined) return [`model ${id}: added`];
    return (['aliases', 'fallbackModels'] as const).flatMap((key) => {
      const name = key === 'aliases' ? 'aliases' : 'fallback_models';
      return isDeepStrictEqual(known[key], model[key])
        ? []
        : [`model ${id}: ${name} ${show(known[key])} → ${show(model[key])}`];
    });
  });
  return [...removed, ...others];
}

function targetChanges(
  before: ReadonlyMap<string, Placed>,
  after: ReadonlyMap<string, Placed>,
  kept: ReadonlySet<string>,
): string[] {
  const removed = [...before.keys()]
    .filter((name) => !after.has(name))
    .map((name) => `target ${name}: removed`);
  const others = [...after].flatMap(([name, { target }]) => {
    const known = before.get(name)?.target;
    if (known === undefined) return [`target ${name}: added`];
    if (!kept.has(name)) return [`target ${name}: replaced`];
    return [...SERVING_KEYS, 'slots'].flatMap((key) =>
      isDeepStrictEqual(known.values[key], target.values[key])
        ? []
        : [`target ${name}: ${key} ${show(known.values[key])} → ${show(target.values[key])}`],
    );
  });
  return [...removed, ...others];
}
