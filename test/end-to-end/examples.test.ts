/** The programs in examples/ run as they are, against the server with a scripted model. */
import { spawn, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { scriptedFlags } from '../support/scripted-server.ts';
import { endingAfterAll, startServer } from '../support/server.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const API_KEY = 'a-key-for-the-examples';
const PYTHON_FOLDER = process.env.LLM_TEST_PYTHONPATH;

interface Example {
  readonly command: readonly [program: string, ...args: string[]];
  readonly prints: readonly RegExp[];
  /** What the scripted model plays; default: the words of the prompt. */
  readonly target?: Readonly<Record<string, unknown>>;
  /** Why it cannot run here. */
  readonly missing?: string | undefined;
}

const EXAMPLES: readonly Example[] = [
  {
    command: ['bash', 'examples/curl/requests.sh'],
    prints: [
      /"status":"ready"/,
      /"text":/,
      /data: \[DONE\]/,
      /"object":"chat.completion"/,
      /max_tokens is 0/,
    ],
    missing: missing('bash', '--version') ?? missing('curl', '--version'),
  },
  {
    command: ['node', 'examples/node/native-stream.mjs', 'one two'],
    prints: [/one two/, /\(stop, \d+ tokens\)/],
  },
  { command: ['node', 'examples/node/chat.mjs', 'one two three'], prints: [/one two three/] },
  {
    command: ['node', 'examples/node/tools.mjs'],
    target: {
      turns: [
        { tool_calls: [{ name: 'get_weather', arguments: { city: 'Paris' } }] },
        { text: 'It has 18 °C in Paris.' },
      ],
    },
    prints: [/the model calls get_weather for Paris/, /It has 18 °C in Paris/],
  },
  {
    command: ['node', 'examples/langchain/structured.mjs'],
    target: { text: '{"name":"Ada Lovelace","age":36}' },
    prints: [/structured: {"name":"Ada Lovelace","age":36}/],
  },
  {
    command: ['python3', 'examples/python/native_stream.py', 'one two'],
    prints: [/one two/, /\(stop, \d+ tokens\)/],
    missing: missing('python3', '--version'),
  },
  {
    command: ['python3', 'examples/python/chat.py', 'one two three'],
    prints: [/one two three/],
    missing: missing('python3', '-c', 'import openai'),
  },
];

/** Each model is an example's own script. */
const modelOf = (index: number) => `example-${index}`;

describe('examples', () => {
  const endsWith = endingAfterAll();
  let url = '';
  beforeAll(async () => {
    const models = EXAMPLES.map(({ target = {} }, index) => ({ id: modelOf(index), target }));
    const flags = [...scriptedFlags(...models), '--auth.api-keys', JSON.stringify([API_KEY])];
    ({ url } = await startServer({ flags, endsWith }));
  });

  for (const [index, { command, prints, missing: reason }] of EXAMPLES.entries()) {
    const title = command.slice(0, 2).join(' ');
    test(title, async (context) => {
      if (reason !== undefined) context.skip(reason);
      const { code, output } = await run(command, { SERVER_URL: url, API_KEY, MODEL: modelOf(index) });
      expect(code, output).toBe(0);
      for (const expected of prints) expect(output).toMatch(expected);
    });
  }

  test('are all run here, and listed in the README of their folder', () => {
    const programs = readdirSync(`${ROOT}/examples`, { recursive: true, encoding: 'utf8' })
      .map((path) => `examples/${path.replaceAll('\\', '/')}`)
      .filter((path) => /\.(sh|mjs|py)$/.test(path));
    expect(EXAMPLES.map(({ command }) => command[1]).sort()).toEqual(programs.sort());
    const readme = readFileSync(`${ROOT}/examples/README.md`, 'utf8');
    for (const program of programs) expect(readme).toContain(program);
  });
});

function environmentWith(variables: Readonly<Record<string, string>>): Record<string, string> {
  const { PATH = '' } = process.env;
  return {
    PATH,
    PYTHONDONTWRITEBYTECODE: '1',
    ...(PYTHON_FOLDER !== undefined && { PYTHONPATH: PYTHON_FOLDER }),
    ...variables,
  };
}

function missing(program: string, ...args: string[]): string | undefined {
  const { status } = spawnSync(program, args, { env: environmentWith({}), stdio: 'ignore' });
  return status === 0 ? undefined : `${[program, ...args].join(' ')} fails here`;
}

async function run([program, ...args]: Example['command'], variables: Readonly<Record<string, string>>) {
  const child = spawn(program === 'node' ? process.execPath : program, args, {
    cwd: ROOT,
    env: environmentWith(variables),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  const code = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  return { code, output };
}
