/** Wrong usage or configuration (exit code 2). The message names the key, the value and what was expected. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}
