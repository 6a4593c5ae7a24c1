/** The configuration as people may see it: `check-config` and GET /admin/configuration. Nothing that the schema calls secret is in it. Pure. */
import { commonTargetKeys } from '../backends/backend-definition.ts';
import type { SchemaNode } from '../schema/schema.ts';
import { SECRET, shownAddress } from '../schema/shown-address.ts';
import type { Config } from './config.ts';
import { ConfigSchema } from './schema.ts';

/** Secret as a whole in errors and logs, as they may have a password; without it, they may be seen here. */
const SECRET_ADDRESSES: ReadonlySet<string> = new Set(['access.store', 'limits.store', 'leases.store']);

const ROOT = ConfigSchema as SchemaNode;

export function shownConfig({ models, auth, ...rest }: Config): Readonly<Record<string, unknown>> {
  return {
    ...(shown(ROOT, { auth: asWritten(auth), ...rest }, '') as object),
    models: models.map(({ id, aliases, fallbackModels, targets }) => ({
      id,
      ...(aliases.length > 0 && { aliases }),
      ...(fallbackModels.length > 0 && { fallback_models: fallbackModels }),
      targets: targets.map(({ definition, values }) => {
        const properties = { ...commonTargetKeys, ...definition.keys } as Readonly<
          Record<string, SchemaNode>
        >;
        return { backend: definition.name, ...(shown({ properties }, values, '') as object) };
      }),
    })),
  };
}

/** Keys that were written without a name have got one from their place. */
function asWritten({ allow_open, ...lists }: Config['auth']): object {
  const entries = Object.entries(lists).map(([list, keys]) => [
    list,
    keys.map(({ name, key }, index) => (name === `${list}[${index}]` ? key : { name, key })),
  ]);
  return { allow_open, ...Object.fromEntries(entries) };
}

/** `key`: of the setting, `access.store`. */
function shown(node: SchemaNode | undefined, value: unknown, key: string): unknown {
  if (value === undefined || value === null) return value;
  if (node?.secret === true) return hidden(value, key);
  if (Array.isArray(value)) return value.map((each) => shown(node?.items, each, key));
  if (typeof value === 'object') return shownObject(node, value, key);
  return typeof value === 'string' ? shownAddress(value) : value;
}

function shownObject(node: SchemaNode | undefined, value: object, key: string): unknown {
  const [ofAny] = Object.values(node?.patternProperties ?? {});
  const entries = Object.entries(value).map(([name, each]) => {
    const child = node?.properties?.[name] ?? ofAny;
    return [name, shown(child, each, key === '' ? name : `${key}.${name}`)];
  });
  return Object.fromEntries(entries);
}

/** Names stay: of headers, and of keys that are written with one. */
function hidden(value: unknown, key: string): unknown {
  if (typeof value === 'string' && SECRET_ADDRESSES.has(key)) return shownAddress(value);
  if (Array.isArray(value)) return value.map((each) => hidden(each, key));
  if (typeof value !== 'object' || value === null) return SECRET;
  const entries = Object.entries(value).map(([name, each]) => [
    name,
    name === 'name' ? each : hidden(each, key),
  ]);
  return Object.fromEntries(entries);
}
