/**
 * The configuration as the composition root gets it: complete, checked, every target resolved to its backend and checked against
 * that backend's keys.
 */
import { type Static, type TObject, Type } from 'typebox';
import Value from 'typebox/value';
import { type BackendDefinition, commonTargetKeys, type TargetRole } from '../backends/backend-definition.ts';
import { BACKENDS, DEFAULT_TARGET, findBackend } from '../backends/catalog.ts';
import type { ModelId } from '../core/generation.ts';
import type { SchemaNode } from '../schema/schema.ts';
import { compileCheck, describeViolation, showWithoutContents, type Violation } from '../schema/violation.ts';
import { ConfigError } from './config-error.ts';
import type { ConfigValues } from './schema.ts';

export type TracingConfig = ConfigValues['tracing'] & {
  /** Spans are posted to it; undefined: no traces are made. */
  readonly url: string | undefined;
  readonly compression: 'gzip' | 'none';
  /** In PEM, with the variables that name them. */
  readonly tlsFiles: Readonly<
    Partial<Record<'ca' | 'cert' | 'key', { readonly variable: string; readonly path: string }>>
  >;
  /** Attributes of this process: `service.name` and what OTEL_RESOURCE_ATTRIBUTES adds. */
  readonly resource: Readonly<Record<string, string>>;
};

/** A key of `auth.api_keys` or `auth.admin_keys`. */
export interface NamedKey {
  /** As configured, or its place: `api_keys[0]`. */
  readonly name: string;
  readonly key: string;
}

export type Config = Omit<ConfigValues, 'models' | 'default_model' | 'rate_limit' | 'tracing' | 'auth'> & {
  readonly auth: Pick<ConfigValues['auth'], 'allow_open'> & {
    readonly api_keys: readonly NamedKey[];
    readonly admin_keys: readonly NamedKey[];
  };
  readonly tracing: TracingConfig;
  readonly default_model: string;
  /** `with_keys`: once access.store has held a key. */
  readonly rate_limit: Omit<ConfigValues['rate_limit'], 'enabled'> & {
    readonly enabled: boolean | 'with_keys';
  };
  readonly models: readonly ModelConfig[];
};

interface TargetConfig {
  /** As configured, or of the model's id, the backend and the position. */
  readonly name: string;
  readonly weight: number;
  readonly role: TargetRole;
  readonly definition: BackendDefinition;
  /** `values.slots` comes from the configuration, not from the backend's default. */
  readonly slotsConfigured: boolean;
  readonly values: Static<TObject<typeof commonTargetKeys>> & { readonly slots: number | 'auto' } & Readonly<
      Record<string, unknown>
    >;
}

interface ModelConfig {
  readonly id: ModelId;
  readonly aliases: readonly string[];
  readonly fallbackModels: readonly ModelId[];
  readonly targets: readonly TargetConfig[];
}

export interface Shortcuts {
  readonly backend?: string;
  readonly url?: string;
  readonly model?: string;
}

/** The schema of one backend's targets, without the `backend` key itself. */
function targetSchema(definition: BackendDefinition): TObject {
  return Type.Object({ ...commonTargetKeys, ...definition.keys }, { additionalProperties: false });
}

/** `shortened`: the only target comes from shortcuts, so errors name its keys without their position in `models`. */
export function resolveModels(
  models: ConfigValues['models'],
  { shortened }: { readonly shortened: boolean },
): ModelConfig[] {
  return models.map((model, modelIndex) => ({
    id: model.id,
    aliases: model.aliases,
    fallbackModels: model.fallback_models,
    targets: model.targets.map((target, index) => {
      const resolved = resolveTarget(target, shortened ? '' : `models[${modelIndex}].targets[${index}].`);
      return {
        ...resolved,
        name: resolved.values.name ?? `${model.id}/${resolved.definition.name}/${index}`,
      };
    }),
  }));
}

function resolveTarget(
  { backend, ...given }: { backend: string } & Record<string, unknown>,
  at: string,
): Omit<TargetConfig, 'name'> {
  const found = findBackend(backend);
  if (!found)
    throw new ConfigError(
      `${at}backend is ${JSON.stringify(backend)}, but must be one of ${backendNames()}.`,
    );
  const schema = targetSchema(found.definition);
  const withDefaults = Value.Default(schema, {
    slots: found.definition.defaultSlots,
    ...found.preset,
    ...given,
  });
  const checked = compileCheck<TargetConfig['values']>(schema)(withDefaults);
  if ('violation' in checked) {
    const { path } = checked.violation;
    const violation = { ...checked.violation, path: `${at}${path}` };
    rejectMissingScheme(violation, schema.properties[path] as SchemaNode | undefined);
    throw new ConfigError(describeViolation(violation, 'The target', showWithoutContents));
  }
  try {
    found.definition.checkTarget?.(checked.value);
  } catch (error) {
    throw new ConfigError(`${at === '' ? '' : `${at.slice(0, -1)}: `}${(error as Error).message}`);
  }
  if (found.definition.embedded && checked.value.slots === 'auto')
    throw new ConfigError(
      `${at}slots is "auto", but must be a whole number: the slots of the embedded engine are set when it starts.`,
    );
  const slotsConfigured = given.slots !== undefined || found.preset.slots !== undefined;
  const { weight = 1, role = 'primary' } = checked.value;
  return { definition: found.definition, weight, role, slotsConfigured, values: checked.value };
}

/** The most common mistake in an address: `localhost:8001`. */
function rejectMissingScheme({ path, value, secret }: Violation, node: SchemaNode | undefined): void {
  const isAddress = node?.pattern?.startsWith('^https?:') === true;
  if (typeof value !== 'string' || secret || !isAddress || value.includes('://')) return;
  const withScheme = `http://${value.replace(/^\/+/, '')}`;
  if (!new RegExp(node.pattern).test(withScheme)) return;
  throw new ConfigError(`${path} is ${JSON.stringify(value)}; write it with its scheme: ${withScheme}.`);
}

/** The name of a GGUF file at the end of a path or an address, before any revision, query or checksum. */
const FILE_STEM = /([^/\\]+)\.gguf(?:[@?#].*)?$/i;

/** One model with one target; its id is the model's name, or the stem of its file. */
export function shortcutModel({ backend = DEFAULT_TARGET.backend, url, model }: Shortcuts): {
  models: unknown[];
  default_model: string;
} {
  if (!findBackend(backend))
    throw new ConfigError(`--backend is ${JSON.stringify(backend)}, but must be one of ${backendNames()}.`);
  const name = model ?? (backend === DEFAULT_TARGET.backend ? DEFAULT_TARGET.model : undefined);
  if (name === undefined)
    throw new ConfigError(`--model is missing. With --backend ${backend} it must be the model’s name there.`);
  const id = FILE_STEM.exec(name)?.[1] ?? name;
  const target = { backend, model: name, ...(url === undefined ? {} : { url }) };
  return { models: [{ id, targets: [target] }], default_model: id };
}

function backendNames(): string {
  return BACKENDS.flatMap((definition) => [definition.name, ...Object.keys(definition.aliases ?? {})]).join(
    ', ',
  );
}
