/** Flags of other programs, and what they are called here. */

const FLAG_SYNONYMS: Readonly<Record<string, string>> = {
  verbose: '--stats',
  url: '--server',
  'base-url': '--server',
  'api-key': '--key; a server takes --auth.api-keys',
  hidethinking: '--hide-thinking',
  'system-prompt': '--system',
  'num-predict': '--max-tokens',
  n_predict: '--max-tokens',
  'served-model-name': 'the id of a model in the configuration file',
  'max-model-len': 'context_size of a target in the configuration file',
  'ctx-size': 'context_size of a target in the configuration file',
  'max-num-seqs': 'slots of a target in the configuration file',
};

/** Commander's message about an unknown flag, with what was probably meant. Its own suggestion, of a similar word, comes first. */
export function withFlagSynonym(message: string): string {
  const [, name = ''] = /^error: unknown option '--([\w-]+)/.exec(message) ?? [];
  if (message.includes('Did you mean') || !Object.hasOwn(FLAG_SYNONYMS, name)) return message;
  return `${message.trimEnd()}\n(Here it is ${FLAG_SYNONYMS[name]}.)\n`;
}
