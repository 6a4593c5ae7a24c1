/**
 * Loads the configuration from its four sources: flag > environment > file > default. Pure: the sources are values. Anything wrong
 * is a ConfigError that names the key, its value and the rule.
 */
import Value from 'typebox/value';
import { parse as parseYaml } from 'yaml';
import type { SchemaNode } from '../schema/schema.ts';
import { compileCheck, describeViolation, showWithoutContents } from '../schema/violation.ts';
import { chooseRateLimit, namedKeys } from './access-rules.ts';
import type { Config } from './config.ts';
import { resolveModels, type Shortcuts, shortcutModel } from './config.ts';
import { ConfigError } from './config-error.ts';
import { remoteVariables, VARIABLE_PREFIX } from './environment.ts';
import { checkRules } from './rules.ts';
import { ConfigSchema, type ConfigValues } from './schema.ts';
import { SETTINGS, type Setting, SHORTCUTS, type Shortcut, shortcutVariable } from './settings.ts';
import { resolveTracing } from './tracing.ts';

/** A configuration file as it was read. */
export interface ConfigFile {
  readonly name: string;
  readonly text: string;
}

export interface ConfigSources {
  /** By setting key (`server.port`) or shortcut name (`backend`); values as the command line gave them. */
  readonly flags: Readonly<Record<string, string | boolean | undefined>>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly file?: ConfigFile;
}

/** Where the value of a setting comes from. */
export type SettingSource = 'flag' | 'environment' | 'file' | 'default';

export interface LoadedConfig {
  readonly config: Config;
  /** By the key of the setting; absent: its default. */
  readonly sources: Readonly<Record<string, Exclude<SettingSource, 'default'>>>;
  readonly warnings: readonly string[];
  /** That it was made of; absent: there is none. */
  readonly file?: ConfigFile;
}

type Tree = Record<string, unknown>;

const check = compileCheck<ConfigValues>(ConfigSchema);

export function loadConfig(given: ConfigSources): LoadedConfig {
  const sources = { ...given, environment: withoutEmpty(given.environment) };
  const tree = sources.file ? substituted(contentOf(sources.file), sources) : {};
  const cameFrom: Record<string, Exclude<SettingSource, 'default'>> = {};
  for (const { key, path } of SETTINGS) if (hasValueAt(tree, path)) cameFrom[key] = 'file';
  assignGiven(tree, SETTINGS, sources, cameFrom);
  const shortcuts = readShortcuts(sources);
  if (shortcuts) {
    Object.assign(tree, shortcutModel(shortcuts));
    const isFlag = SHORTCUTS.some((name) => sources.flags[name] !== undefined);
    cameFrom.models = cameFrom.default_model = isFlag ? 'flag' : 'environment';
  }
  const isRateLimitSet = Object.keys(Object(tree.rate_limit)).length > 0;
  const values = checkedValues(tree);
  const models = resolveModels(values.models, { shortened: shortcuts !== undefined });
  const config = {
    ...values,
    auth: namedKeys(values.auth),
    rate_limit: { ...values.rate_limit, enabled: chooseRateLimit(values, isRateLimitSet) },
    tracing: resolveTracing(values.tracing, sources.environment),
    models,
    default_model: values.default_model ?? models[0]?.id ?? '',
  };
  checkRules(config);
  return {
    config,
    sources: cameFrom,
    warnings: [...unknownVariables(sources.environment), ...settingsOfNothing(config)],
    ...(sources.file && { file: sources.file }),
  };
}

interface ListeningAddress extends Pick<ConfigValues['server'], 'host' | 'port'> {
  /** The file says so, and no flag or variable does. */
  readonly isHostOfFile: boolean;
}

/** Where the server listens. What else is wrong, or has a variable that only the server has, does not matter. */
export function loadAddress(given: ConfigSources): ListeningAddress {
  const sources = { ...given, environment: withoutEmpty(given.environment) };
  const settings = SETTINGS.filter(({ key }) => key === 'server.host' || key === 'server.port');
  const content = sources.file ? contentOf(sources.file) : {};
  const own = Object.entries(Object(content.server)).filter(([name]) => name === 'host' || name === 'port');
  const ofFile = Object.fromEntries(own);
  const tree = substituted({ server: ofFile }, sources);
  const cameFrom: Parameters<typeof assignGiven>[3] = {};
  assignGiven(tree, settings, sources, cameFrom);
  const { host, port } = checkedValues(tree).server;
  return { host, port, isHostOfFile: 'host' in ofFile && cameFrom['server.host'] === undefined };
}

/** `cameFrom` is added to. */
function assignGiven(
  tree: Tree,
  settings: readonly Setting[],
  { flags, environment }: ConfigSources,
  cameFrom: Record<string, Exclude<SettingSource, 'default'>>,
): void {
  for (const setting of settings) {
    const fromEnvironment = environment[setting.variable];
    if (fromEnvironment !== undefined) {
      assign(tree, setting, readText(fromEnvironment, { setting, source: setting.variable }));
      cameFrom[setting.key] = 'environment';
    }
    const fromFlag = flags[setting.key];
    if (fromFlag !== undefined) {
      assign(tree, setting, readText(fromFlag, { setting, source: setting.flag }));
      cameFrom[setting.key] = 'flag';
    }
  }
}

function checkedValues(tree: Tree): ConfigValues {
  const checked = check(Value.Default(ConfigSchema, tree));
  if ('violation' in checked)
    throw new ConfigError(describeViolation(checked.violation, 'The configuration', showWithoutContents));
  return checked.value;
}

/**
 * What is named where prices and limits are, and is not there: no error, as commands that only read the store know nothing of models that
 * the server's flags name.
 */
function settingsOfNothing({ prices, limits, models, auth }: Config): string[] {
  const ids = models.map(({ id }) => id);
  const names = auth.api_keys.map(({ name }) => name);
  const ofModels = `Models: ${ids.join(', ')}.`;
  const ofKeys = 'Limits of keys of access.store are set with llm-serve keys change.';
  const unknown = (named: object, known: readonly (string | undefined)[], where: string, why: string) =>
    Object.keys(named).flatMap((name) =>
      known.includes(name) ? [] : `${where} has ${JSON.stringify(name)}, which is the ${why}`,
    );
  return [
    ...unknown(prices.models, ids, 'prices.models', `id of no model: it prices nothing. ${ofModels}`),
    ...unknown(limits.models, ids, 'limits.models', `id of no model: it limits nothing. ${ofModels}`),
    ...unknown(
      limits.keys,
      names,
      'limits.keys',
      `name of no key of auth.api_keys: it limits nothing. ${ofKeys}`,
    ),
  ];
}

function contentOf(file: ConfigFile): Tree {
  let content: unknown;
  try {
    content = parseYaml(file.text);
  } catch (error) {
    throw new ConfigError(`${file.name} is not valid YAML: ${(error as Error).message.split('\n')[0]}`);
  }
  if (content === null || content === undefined) return {};
  if (typeof content !== 'object' || Array.isArray(content)) {
    throw new ConfigError(`${file.name} must contain keys and values at its top level, such as "server:".`);
  }
  return content as Tree;
}

function substituted(content: Tree, { environment, file }: ConfigSources): Tree {
  return substitute(content, { environment, path: '', file: file?.name ?? '' }) as Tree;
}

/** Replaces `${NAME}` in every string by the environment's value. */
function substitute(
  value: unknown,
  at: { environment: ConfigSources['environment']; path: string; file: string },
): unknown {
  if (Array.isArray(value))
    return value.map((item, index) => substitute(item, { ...at, path: `${at.path}[${index}]` }));
  if (value !== null && typeof value === 'object') {
    const entries = Object.entries(value).map(([name, item]) => {
      return [name, substitute(item, { ...at, path: at.path === '' ? name : `${at.path}.${name}` })];
    });
    return Object.fromEntries(entries);
  }
  if (typeof value !== 'string') return value;
  return value.replace(/\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g, (_, name: string) => {
    const replacement = at.environment[name];
    if (replacement !== undefined) return replacement;
    throw new ConfigError(
      `${at.path} in ${at.file} uses the environment variable ${name}, which is not set.`,
    );
  });
}

/** Converts the text of a flag or variable to its setting's type. Text that does not fit fails the check. */
function readText(text: string | boolean, origin: { setting: Setting; source: string }): unknown {
  const { type, anyOf = [] } = origin.setting.schema as SchemaNode;
  if (typeof text === 'boolean') return text;
  const isNumber = [type, ...anyOf.map((variant) => variant.type)].some(
    (each) => each === 'integer' || each === 'number',
  );
  if (isNumber) return /^-?\d+(\.\d+)?$/.test(text.trim()) ? Number(text) : text;
  if (type === 'boolean')
    return { true: true, '1': true, false: false, '0': false }[text.trim().toLowerCase()] ?? text;
  if (type !== 'array' && type !== 'object') return text;
  try {
    return JSON.parse(text);
  } catch {
    const example = type === 'array' ? '["…"]' : '{"name":"value"}';
    throw new ConfigError(
      `${origin.source} (${origin.setting.key}) must be JSON, such as '${example}', but could not be parsed.`,
    );
  }
}

function hasValueAt(tree: Tree, path: readonly string[]): boolean {
  let node: unknown = tree;
  for (const name of path) {
    if (typeof node !== 'object' || node === null || !Object.hasOwn(node, name)) return false;
    node = (node as Tree)[name];
  }
  return node !== undefined;
}

function assign(tree: Tree, setting: Setting, value: unknown): void {
  let node = tree;
  for (const name of setting.path.slice(0, -1)) {
    const child = node[name] ?? {};
    if (typeof child !== 'object' || Array.isArray(child)) return;
    node[name] = child;
    node = child as Tree;
  }
  node[setting.path.at(-1) ?? ''] = value;
}

function readShortcuts({ flags, environment }: ConfigSources): Shortcuts | undefined {
  // A flag takes precedence over the environment, and over a shortcut there.
  const modelsByFlag = flags.models !== undefined || flags.default_model !== undefined;
  const given = (name: Shortcut) =>
    flags[name] ?? (modelsByFlag ? undefined : environment[shortcutVariable(name)]);
  const pairs = SHORTCUTS.map((name) => [name, given(name)] as const).filter(
    ([, value]) => value !== undefined,
  );
  return pairs.length === 0 ? undefined : (Object.fromEntries(pairs) as Shortcuts);
}

/** An empty variable counts as not set: `${NAME:-}` in a Compose file produces it. */
function withoutEmpty(environment: ConfigSources['environment']): ConfigSources['environment'] {
  return Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ''));
}

/** Kubernetes injects names such as LLM_SERVE_PORT for a service called llm-serve, so they only warrant a warning. */
function unknownVariables(environment: ConfigSources['environment']): string[] {
  const known = new Set([
    ...SETTINGS.map(({ variable }) => variable),
    ...SHORTCUTS.map(shortcutVariable),
    ...Object.values(remoteVariables),
  ]);
  return Object.keys(environment)
    .filter((name) => name.startsWith(VARIABLE_PREFIX) && !known.has(name))
    .map((name) => `The environment variable ${name} is not a setting and is ignored.`);
}
