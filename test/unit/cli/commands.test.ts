import { expect, it } from 'vitest';
import { COMMAND_MODULES, modulesFor } from '../../../src/cli/commands.ts';
import { buildProgram } from '../../../src/cli/main.ts';

it.each(COMMAND_MODULES.map((module) => [module.names[0], module] as const))(
  'the module of %s has the commands that it is loaded for',
  async (_name, module) => {
    const { commands } = await buildProgram(() => {}, [module]);
    expect(commands.flatMap((each) => [each.name(), ...each.aliases()]).sort()).toEqual(
      [...module.names].sort(),
    );
  },
);

it.each([
  [['--version'], []],
  [['-v'], []],
  [[], ['serve']],
  [['--port', '1'], ['serve']],
  [['serve', 'chat'], ['serve']],
  [['status', '--watch'], ['status']],
  [['ps'], ['status']],
  [['ls', '--json'], ['models']],
])('%j needs the modules %j', (argv, names) => {
  expect(modulesFor(argv).map((module) => module.names[0])).toEqual(names);
});

it.each([[['--help']], [['--port', '1', '-h']], [['help', 'chat']], [['chatt']]])(
  '%j needs all modules',
  (argv) => {
    expect(modulesFor(argv)).toBe(COMMAND_MODULES);
  },
);
