/** The configuration as the composition root gets it: complete, checked, every target resolved to its backend. */
import type { ConfigValues } from './schema.ts';
import type { ModelConfig } from './targets.ts';

export type Config = Omit<ConfigValues, 'models' | 'default_model' | 'rate_limit'> & {
  readonly default_model: string;
  readonly rate_limit: ConfigValues['rate_limit'] & { readonly enabled: boolean };
  readonly models: readonly ModelConfig[];
};
