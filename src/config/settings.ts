/** Every setting of the schema with its three names: the path in the file, the flag, the environment variable. */
import type { SchemaNode } from '../schema/schema.ts';
import { VARIABLE_PREFIX } from './environment.ts';
import { ConfigSchema } from './schema.ts';

export interface Setting {
  /** `scheduler.max_batch_size` */
  readonly key: string;
  readonly path: readonly string[];
  /** `--scheduler.max-batch-size` */
  readonly flag: string;
  /** `LLM_SERVE_SCHEDULER__MAX_BATCH_SIZE` */
  readonly variable: string;
  readonly schema: SchemaNode;
}

/** Shortcuts for a single model: they replace `models` by one entry. */
export const SHORTCUTS = ['backend', 'url', 'model'] as const;
export type Shortcut = (typeof SHORTCUTS)[number];

export function shortcutVariable(shortcut: Shortcut): string {
  return `${VARIABLE_PREFIX}${shortcut.toUpperCase()}`;
}

export const SETTINGS: readonly Setting[] = collect(ConfigSchema as SchemaNode, []);

function collect(node: SchemaNode, path: readonly string[]): Setting[] {
  if (node.properties && node.isOneSetting !== true) {
    return Object.entries(node.properties).flatMap(([name, child]) => collect(child, [...path, name]));
  }
  return [
    {
      key: path.join('.'),
      path,
      flag: `--${path.join('.').replaceAll('_', '-')}`,
      variable: VARIABLE_PREFIX + path.map((name) => name.toUpperCase()).join('__'),
      schema: node,
    },
  ];
}
