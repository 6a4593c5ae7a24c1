/** The flags of the configuration, for commands that take them. */
import { type Command, Option } from 'commander';
import { SETTINGS, SHORTCUTS } from '../config/settings.ts';
import { unlist } from './help.ts';
import type { Flags } from './read-config.ts';

const SHORT_FORMS: Readonly<Record<string, string>> = {
  '--server.port': '--port',
  '--server.host': '--host',
};

const SHORTCUT_FLAGS = [
  ['--backend <name>', 'shortcut for one model: its backend'],
  ['--url <url>', 'shortcut for one model: the backend’s address'],
  [
    '--model <name>',
    'shortcut for one model: its name there; for the embedded engine also hf:owner/repo/file.gguf, an https address or a path',
  ],
] as const;

const CONFIG_FLAG = '--config <file>';
const CONFIG_MEANING = 'configuration file (default: llm-serve.yaml in this folder, if there is one)';

/** A flag of the configuration. A command's own flag may have the same name, as `keys create --models` has, and is none. */
class SettingOption extends Option {}

/** The flags that name where keys, usage and the audit log are kept. */
export const STORE_SECTIONS = ['access', 'data'];

/** The command takes the flags of these sections of the configuration; its help lists them. */
export function withSections(command: Command, sections: readonly string[]): Command {
  command.optionsGroup('Configuration:').addOption(new SettingOption(CONFIG_FLAG, CONFIG_MEANING));
  for (const { path, flag, schema } of SETTINGS)
    if (sections.includes(path[0] ?? ''))
      command.addOption(new SettingOption(`${flag} <${schema.type ?? 'value'}>`, schema.description ?? ''));
  return command.allowExcessArguments(false);
}

/** The command takes every flag of the configuration; its help lists them only if it is told to. */
export function withSettings(command: Command, { listed } = { listed: false }): Command {
  const group = (section: string) => `${section[0]?.toUpperCase()}${section.slice(1).replaceAll('_', ' ')}:`;
  command.optionsGroup('Configuration:');
  command.addOption(new SettingOption(CONFIG_FLAG, CONFIG_MEANING));
  const own = command.options.length;
  command.optionsGroup('One model:');
  for (const [flag, meaning] of SHORTCUT_FLAGS) command.addOption(new SettingOption(flag, meaning));
  for (const { path, flag, schema } of SETTINGS) {
    const [section = ''] = path;
    command.optionsGroup(group(path.length > 1 ? section : 'configuration'));
    const value = schema.type === 'boolean' ? '[true|false]' : `<${schema.type ?? 'value'}>`;
    command.addOption(new SettingOption(`${flag} ${value}`, schema.description));
    const short = SHORT_FORMS[flag];
    if (short) command.addOption(new SettingOption(`${short} ${value}`, `short for ${flag}`));
  }
  if (!listed) {
    unlist(command.options.slice(own));
    command.addHelpText(
      'after',
      '\nIt takes the flags of the configuration too: llm-serve serve --help lists them.',
    );
  }
  return command.allowExcessArguments(false);
}

export function flagsOf(command: Command): Flags {
  const given = new Map<string, string | boolean>();
  for (const option of command.options) {
    const value = command.getOptionValue(option.attributeName()) as string | boolean | undefined;
    if (option instanceof SettingOption && value !== undefined && option.long) given.set(option.long, value);
  }
  const settings = SETTINGS.map(
    ({ key, flag }) => [key, given.get(flag) ?? given.get(SHORT_FORMS[flag] ?? '')] as const,
  );
  const shortcuts = SHORTCUTS.map((name) => [name, given.get(`--${name}`)] as const);
  return {
    config: given.get('--config') as string | undefined,
    values: Object.fromEntries([...settings, ...shortcuts]),
  };
}
