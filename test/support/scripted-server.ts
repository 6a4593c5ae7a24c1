/** Flags of a server over the scripted backend, and prompts that carry a script; for tests of the whole executable. */

export interface ScriptedModel {
  readonly id?: string;
  /** Keys of its target. */
  readonly target?: Readonly<Record<string, unknown>>;
}

/**
 * The limiter is off: add `--rate-limit.enabled true` to have it. A stream that a script fails ends with its error: the script would
 * fail again, and it knows nothing of what was said before.
 */
export function scriptedFlags(...models: readonly ScriptedModel[]): string[] {
  const list = (models.length === 0 ? [{}] : models).map(({ id = 'demo', target = {} }) => ({
    id,
    targets: [{ backend: 'scripted', model: id, ...target }],
  }));
  return ['--models', JSON.stringify(list), '--rate-limit.enabled', 'false', '--resume', 'off'];
}

/** A prompt that has the scripted backend play this for its request alone. */
export function scripted(script: Readonly<Record<string, unknown>>, prompt = 'one two three'): string {
  return `${JSON.stringify({ script })}\n${prompt}`;
}
