/** Apart from the configuration itself: commands that use a running server reject wrong usage, and load nothing of the configuration. */

/** Wrong usage or configuration (exit code 2). The message names the key, its value and the rule. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}
