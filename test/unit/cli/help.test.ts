import { expect, it } from 'vitest';
import { COMMAND_GROUPS } from '../../../src/cli/help.ts';
import { buildProgram } from '../../../src/cli/main.ts';
import { commandWords } from '../../../src/cli/unknown-command.ts';
import { SETTINGS } from '../../../src/config/settings.ts';

const program = await buildProgram(() => {});
const width = 80;

function helpOf(...path: readonly string[]): string {
  let command = program;
  for (const name of path) {
    const found = command.commands.find((each) => each.name() === name || each.aliases().includes(name));
    if (found === undefined) throw new Error(`there is no ${name}`);
    command = found;
  }
  let text = '';
  command.configureOutput({
    writeOut: (piece) => {
      text += piece;
    },
    getOutHelpWidth: () => width,
  });
  command.outputHelp();
  return text;
}

it('the help of the program fits a terminal, and has each command once, in its group', () => {
  const lines = helpOf().split('\n');
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(width);
  expect(lines.length).toBeLessThanOrEqual(38);
  const shown = lines.flatMap((line) => /^ {2}([a-z-]+)/.exec(line)?.[1] ?? []);
  expect(new Set(shown).size).toBe(shown.length);
  expect(shown).toEqual(expect.arrayContaining(['serve', 'chat', 'run', 'models']));
  const headings = lines.filter((line) => /^[A-Z].*:$/.test(line));
  expect(headings).toEqual(Object.values(COMMAND_GROUPS));
});

it('the flags of the configuration are listed below serve, by section, and nowhere else', () => {
  const serve = helpOf('serve');
  for (const { flag } of SETTINGS) expect(serve).toContain(`  ${flag} `);
  expect(serve).toContain('\nScheduler:\n  --scheduler.mode');
  for (const path of [['check-config'], ['reload'], ['models', 'list'], ['pull'], ['chat'], []]) {
    expect(helpOf(...path)).not.toContain('--scheduler.mode');
  }
  expect(helpOf('check-config')).toContain('llm-serve serve --help lists them.');
});

it('a flag that is not listed is still one of the suggestions', async () => {
  let text = '';
  const known = await buildProgram(() => {});
  for (const command of [known, ...known.commands])
    command.exitOverride().configureOutput({
      writeErr: (piece) => {
        text += piece;
      },
    });
  await expect(known.parseAsync(['reload', '--prot', '1'], { from: 'user' })).rejects.toThrow();
  expect(text).toContain('Did you mean --port?');
});

it.each([
  [['help'], ['--help']],
  [
    ['help', 'run'],
    ['run', '--help'],
  ],
  [
    ['help', 'models', 'ls'],
    ['models', 'ls', '--help'],
  ],
  [
    ['run', 'demo', 'help'],
    ['run', 'demo', 'help'],
  ],
  [
    ['--port', '1'],
    ['--port', '1'],
  ],
  [[], []],
])('%j is read as %j', (argv, words) => {
  expect(commandWords(program, argv)).toEqual(words);
});

it.each(['ls', 'list', 'show', 'pull', 'rm', 'remove'])('%s is a command at the top level too', (name) => {
  expect(commandWords(program, [name])).toEqual([name]);
  expect(helpOf(name)).toContain(helpOf('models', name).split('\n')[2]);
});
