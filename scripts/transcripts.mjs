// `npm run transcripts`: plays sessions of the command line in tmux, as a person would have them, and writes what the terminal showed
// into docs/command-line.md. The server plays a script instead of running a model, so that the words are the same each time.
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { prepare } from './build.mjs';
import { put } from './plain-transcripts.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const page = join(root, 'docs', 'command-line.md');
const COLUMNS = 80;
const ROWS = 60;
const WITHIN_MS = 120_000;
/** A port that is nobody’s; the transcripts show the usual one. */
const PORT = '18473';
const SHOWN_PORT = '8000';

const MODELS = [
  {
    id: 'demo',
    targets: [
      {
        backend: 'scripted',
        model: 'demo',
        text: 'The capital of France is Paris. It has been since the year 987.',
        first_token_delay_ms: 120,
        token_delay_ms: 20,
      },
    ],
  },
  {
    id: 'thinker',
    targets: [
      {
        backend: 'scripted',
        model: 'thinker',
        reasoning: 'They ask for a number. I should count.',
        text: 'There are 42 of them, and I could go on and on about each one of these.',
        token_delay_ms: 150,
      },
    ],
  },
];

/** What stands on the last line when the next thing may be typed. */
const SHELL = '$';
const CHAT = '>';

/** Steps: what is typed, and what is shown before the next one, on the way to the `prompt` (the shell’s). */
const SESSIONS = {
  chat: [
    { type: 'llm-serve chat', shows: 'Ctrl-D leaves', prompt: CHAT },
    { type: 'What is the capital of France?', shows: '987.', prompt: CHAT },
    { type: '/stats', shows: 'in all', prompt: CHAT },
    { type: '/set temperature 0.2', shows: '\ntemperature 0.2', prompt: CHAT },
    { type: '/model', shows: '* demo', prompt: CHAT },
    { type: '/model thinker', shows: 'from now on', prompt: CHAT },
    { type: 'How many are there?', shows: 'and I could', prompt: undefined },
    { key: 'C-c', shows: '(stopped)', prompt: CHAT },
    { type: '/save numbers.json', shows: 'Saved', prompt: CHAT },
    { type: '/quit', shows: '' },
  ],
  run: [
    { type: 'llm-serve run "What is the capital of France?"', shows: '987.' },
    { type: 'cat notes.txt | llm-serve run demo "Sum this up" --stats', shows: 'in all' },
    { type: 'llm-serve run demo "What is the capital of France?" --json', shows: '\n}' },
  ],
  status: [
    { type: 'llm-serve run thinker "Count them" > answer.txt &', shows: '' },
    { type: 'sleep 2; llm-serve status', shows: 'REQUEST' },
  ],
  errors: [{ type: 'llm-serve run dmo hello', shows: 'demo "dmo hello"' }],
};

await prepare();
if (spawnSync('tmux', ['-V'], { stdio: 'ignore' }).status !== 0) {
  process.stderr.write('tmux is not installed; the transcripts stay as they are.\n');
  process.exit(1);
}
const folder = mkdtempSync(join(tmpdir(), 'llm-serve-transcripts-'));
const server = spawn(
  process.execPath,
  [
    ...[join(root, 'dist', 'cli', 'main.js'), '--port', PORT, '--models', JSON.stringify(MODELS)],
    ...['--rate-limit.enabled', 'false'],
  ],
  { cwd: folder, stdio: 'ignore' },
);
try {
  prepareFolder();
  await untilListening();
  // Without a session tmux would end.
  tmux('new-session', '-d', '-s', 'open');
  let text = readFileSync(page, 'utf8');
  for (const [name, steps] of Object.entries(SESSIONS))
    text = put(text, name, (await play(name, steps)).replace(/\n\$$/, ''));
  writeFileSync(page, text);
} finally {
  tmux('kill-server');
  server.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
}

function prepareFolder() {
  mkdirSync(join(folder, 'bin'));
  symlinkSync(join(root, 'dist', 'cli', 'main.js'), join(folder, 'bin', 'llm-serve'));
  symlinkSync(process.execPath, join(folder, 'bin', 'node'));
  mkdirSync(join(folder, 'home'));
  writeFileSync(join(folder, 'home', 'notes.txt'), 'Paris became the capital of France in 987.\n');
}

async function untilListening() {
  for (const limit = Date.now() + WITHIN_MS; Date.now() < limit; await sleep(100)) {
    const answer = await fetch(`http://127.0.0.1:${PORT}/ready`).catch(() => undefined);
    if (answer?.status === 200) return;
  }
  throw new Error('the server did not start');
}

/** What the terminal shows at the end of the session. */
async function play(name, steps) {
  const home = join(folder, 'home');
  const environment = {
    PATH: `${join(folder, 'bin')}:/usr/bin:/bin`,
    HOME: home,
    PS1: `${SHELL} `,
    LLM_SERVE_SERVER: `http://127.0.0.1:${PORT}`,
  };
  const assignments = Object.entries(environment).map(([key, value]) => `${key}=${value}`);
  const size = ['-x', String(COLUMNS), '-y', String(ROWS)];
  tmux(
    'new-session',
    '-d',
    '-s',
    name,
    ...size,
    '-c',
    home,
    'env',
    '-i',
    'TERM=screen',
    ...assignments,
    'sh',
  );
  await untilShown(name, { shows: '', prompt: SHELL }, 0);
  for (const { type, key, shows, ...rest } of steps) {
    const { prompt } = { prompt: SHELL, ...rest };
    const before = screen(name).length;
    if (key !== undefined) tmux('send-keys', '-t', name, key);
    else {
      tmux('send-keys', '-t', name, '-l', type);
      tmux('send-keys', '-t', name, 'Enter');
    }
    await untilShown(name, { shows, prompt }, before + (type ?? '').length);
  }
  const text = screen(name);
  tmux('kill-session', '-t', name);
  return text.replaceAll(`:${PORT}`, `:${SHOWN_PORT}`);
}

/** `before`: characters that were there already. */
async function untilShown(name, { shows, prompt }, before) {
  for (const limit = Date.now() + WITHIN_MS; Date.now() < limit; await sleep(100)) {
    const now = screen(name);
    const added = now.slice(before);
    if (added.includes(shows) && (prompt === undefined || `\n${added}`.endsWith(`\n${prompt}`))) return;
  }
  throw new Error(`${name}: ${JSON.stringify(shows)} was not shown:\n${screen(name)}`);
}

function screen(name) {
  const { stdout } = tmux('capture-pane', '-p', '-J', '-S', '-', '-t', name);
  return stdout
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n')
    .trimEnd();
}

function tmux(...args) {
  return spawnSync('tmux', ['-S', join(folder, 'tmux'), '-f', '/dev/null', ...args], { encoding: 'utf8' });
}
