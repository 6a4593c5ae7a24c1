/** `llm-serve check-config`: the configuration as it would be used, secrets hidden. Wrong ones end in a ConfigError. */
import { stringify } from 'yaml';
import type { Config } from '../config/config.ts';
import { printableText } from '../core/printable-text.ts';
import type { SchemaNode } from '../schema/schema-node.ts';
import type { Flags } from './flags.ts';
import { readConfig } from './read-config.ts';

const HIDDEN = '(hidden)';

export function checkConfig(flags: Flags): number {
  const { config, warnings, notices } = readConfig(flags);
  for (const warning of warnings) process.stderr.write(`warning: ${printableText(warning)}\n`);
  for (const notice of notices) process.stderr.write(`${printableText(notice)}\n`);
  process.stdout.write(printableText(stringify(printable(config))));
  return 0;
}

function printable({ auth, models, ...rest }: Config): unknown {
  return {
    ...rest,
    auth: { ...auth, api_keys: auth.api_keys.map(() => HIDDEN) },
    models: models.map(({ id, aliases, targets }) => ({
      id,
      ...(aliases.length > 0 && { aliases }),
      targets: targets.map(({ definition, values }) => {
        const keys = definition.keys as Readonly<Record<string, SchemaNode>>;
        const shown = Object.entries(values).map(([name, value]) => [
          name,
          keys[name]?.secret ? HIDDEN : value,
        ]);
        return { backend: definition.name, ...Object.fromEntries(shown) };
      }),
    })),
  };
}
