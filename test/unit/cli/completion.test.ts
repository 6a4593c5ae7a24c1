/** The completion scripts, run by the shells that this machine has. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { completionScript } from '../../../src/cli/completion.ts';
import { buildProgram } from '../../../src/cli/main.ts';

const program = await buildProgram(() => {});
/** Home and working directory of the shells, with one file. */
const folder = mkdtempSync(join(tmpdir(), 'llm-serve-test-'));
writeFileSync(join(folder, 'compared.json'), '{}');
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const has = (shell: string) => spawnSync(shell, ['--version']).status === 0;

/** What is typed, up to the cursor → what may stand there, in any order. */
const CASES: readonly (readonly [typed: string, completions: readonly string[]])[] = [
  ['mo', ['models']],
  ['models sh', ['show']],
  ['models list --js', ['--json']],
  ['models list ', []],
  ['run demo --temp', ['--temperature']],
  ['completion ', ['bash', 'fish', 'zsh']],
  ['whatif --order f', ['fair', 'fifo']],
  ['--por', ['--port']],
  ['serve --rec', ['--record']],
  ['bench comp', ['compare']],
  ['models ', ['list', 'ls', 'pull', 'remove', 'rm', 'show']],
  ['reload --serv', []],
];

it.skipIf(!has('bash')).each(CASES)('bash completes %j to %j', (typed, completions) => {
  const words = ['llm-serve', ...typed.split(' ')].map((word) => `'${word}'`);
  const script = [
    completionScript('bash', program),
    `COMP_WORDS=(${words.join(' ')}); COMP_CWORD=${words.length - 1}; _llm_serve; printf '%s\\n' "\${COMPREPLY[@]}"`,
  ].join('\n');
  expect(output('bash', ['--norc'], script)).toEqual(completions);
});

/** Its completion system takes seconds to load: what the script calls of it is replaced, and prints what it is given. */
const ZSH_STAND_INS = [
  'compdef() { :; }',
  '_describe() { local each; for each in "${(P@)2}"; do print -r -- "${each%%:*}"; done; }',
  'compadd() { shift; print -rl -- "$@"; }',
  '_files() { :; }',
].join('\n');

it.skipIf(!has('zsh')).each(CASES)('zsh completes %j to %j', (typed, completions) => {
  const words = ['llm-serve', ...typed.split(' ')];
  const current = words.at(-1) ?? '';
  const script = [
    ZSH_STAND_INS,
    completionScript('zsh', program),
    `words=(${words.map((word) => `'${word}'`).join(' ')}); CURRENT=${words.length}; PREFIX='${current}'; _llm_serve`,
  ].join('\n');
  // The shell itself leaves out what does not begin so.
  const fitting = output('zsh', ['-f'], script).filter((word) => word.startsWith(current));
  expect(fitting).toEqual(completions);
});

it.skipIf(!has('fish')).each(CASES)('fish completes %j to %j', (typed, completions) => {
  const script = [completionScript('fish', program), `complete -C 'llm-serve ${typed}'; true`].join('\n');
  const found = output('fish', ['--no-config', '--private', '--command', script]);
  expect(found.map((line) => line.split('\t')[0])).toEqual(completions);
});

it.skipIf(!has('fish')).each([
  ['whatif comp', ['compared.json']],
  ['bench compare comp', ['compared.json']],
  ['serve --config comp', ['compared.json']],
  ['chat comp', []],
])('fish completes files where they are meant: %j to %j', (typed, completions) => {
  const script = `${completionScript('fish', program)}\ncomplete -C 'llm-serve ${typed}'; true`;
  expect(output('fish', ['--no-config', '--private', '--command', script])).toEqual(completions);
});

it.skipIf(!has('fish'))('fish says what a word does', () => {
  const script = `${completionScript('fish', program)}\ncomplete -C 'llm-serve models li'`;
  expect(output('fish', ['--no-config', '--private', '--command', script])).toEqual([
    'list\tThe catalogue, and what is fetched.',
  ]);
});

function output(shell: string, flags: readonly string[], input = ''): readonly string[] {
  const { status, stdout, stderr } = spawnSync(shell, flags, {
    ...{ input, encoding: 'utf8', cwd: folder },
    env: { PATH: process.env.PATH, HOME: folder },
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .sort();
}
