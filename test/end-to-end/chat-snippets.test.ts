/** What Chat copies as code runs as it stands, for each protocol: curl and TypeScript here, Python where its packages are. */
import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ChatBody } from '../../web/chat/chat-body.ts';
import { PROTOCOLS, type ProtocolName } from '../../web/chat/snippets/bodies.ts';
import { LANGUAGES, type Language, snippetOf } from '../../web/chat/snippets/code.ts';
import { scriptedFlags } from '../support/scripted-server.ts';
import { endingAfterAll, type RunningServer, startServer } from '../support/server.ts';

const run = promisify(execFile);
const KEY = 'a-key-for-this-test';
const root = fileURLToPath(new URL('../../', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'llm-serve-snippets-'));
symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'), 'junction');
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const endsWith = endingAfterAll();
let server: RunningServer;
beforeAll(async () => {
  server = await startServer({
    flags: scriptedFlags({ target: { text: 'It\'s {"city":"Paris"}' } }),
    environment: { LLM_SERVE_AUTH__API_KEYS: JSON.stringify([KEY]) },
    endsWith,
  });
});

const schema = {
  type: 'object',
  properties: { city: { type: 'string' } },
  required: ['city'],
  additionalProperties: false,
} as const;

/** Quotes of every kind, lines, and all that a conversation can have. */
const BODIES: Readonly<Record<string, ChatBody>> = {
  'a question with quotes of every kind': {
    model: 'demo',
    messages: [{ role: 'user', content: 'It\'s "quoted" `code` $HOME \\n\n${x} 👋 \u2028 end' }],
  },
  'all parameters': {
    model: 'demo',
    messages: [
      { role: 'system', content: 'Be short.' },
      { role: 'user', content: 'hi' },
    ],
    temperature: 0.5,
    top_p: 0,
    top_k: 5,
    min_p: 0.1,
    max_tokens: 20,
    seed: 1,
    presence_penalty: 0.1,
    frequency_penalty: 0.1,
    repetition_penalty: 1.1,
    stop: ['END'],
  },
  'tools and their results': {
    model: 'demo',
    messages: [
      { role: 'user', content: 'Weather?' },
      {
        role: 'assistant',
        content: '',
        tool_calls: [
          { id: 'call_1', type: 'function', function: { name: 'weather', arguments: '{"city":"Rome"}' } },
          { id: 'call_2', type: 'function', function: { name: 'weather', arguments: '{"city":"Oslo"}' } },
        ],
      },
      { role: 'tool', tool_call_id: 'call_1', content: '21' },
      { role: 'tool', tool_call_id: 'call_2', content: '4' },
    ],
    tools: [{ type: 'function', function: { name: 'weather', description: 'Now', parameters: schema } }],
  },
};

const PACKAGES: Readonly<Record<ProtocolName, string>> = {
  OpenAI: 'openai',
  Anthropic: 'anthropic',
  Ollama: 'ollama',
  Native: 'json',
};

/** The output of the program. */
async function runSnippet(language: Language, text: string): Promise<string> {
  const env = { ...process.env, LLM_SERVE_KEY: KEY, PYTHONPATH: process.env.LLM_TEST_PYTHONPATH ?? '' };
  const options = { cwd: folder, env };
  if (language === 'curl')
    return (await run('sh', ['-c', `${text.trimEnd()} --silent --fail-with-body`], options)).stdout;
  if (language === 'Python') return (await run('python3', ['-c', text], options)).stdout;
  const { outputText } = ts.transpileModule(text, {
    compilerOptions: { target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.ESNext },
  });
  const file = join(folder, `snippet-${Math.random().toString(36).slice(2)}.mjs`);
  writeFileSync(file, outputText);
  return (await run(process.execPath, [file], options)).stdout;
}

function isThere(command: string, ...words: string[]): boolean {
  const env = { ...process.env, PYTHONPATH: process.env.LLM_TEST_PYTHONPATH ?? '' };
  return spawnSync(command, words, { stdio: 'ignore', env }).status === 0;
}

function canRun(language: Language, protocol: ProtocolName): boolean {
  if (language === 'curl') return isThere('curl', '--version');
  return language !== 'Python' || isThere('python3', '-c', `import ${PACKAGES[protocol]}`);
}

describe.each(PROTOCOLS)('%s', (protocol) => {
  describe.each(LANGUAGES)('%s', (language) => {
    test.skipIf(!canRun(language, protocol)).each(Object.entries(BODIES))('%s', async (_, body) => {
      const { text } = snippetOf(body, { protocol, language, server: server.url, withKey: true });
      expect(text).not.toContain(KEY);
      expect(await runSnippet(language, text)).toContain('Paris');
    });
  });
});

test('the typed programs have no type errors', () => {
  const files = PROTOCOLS.flatMap((protocol) =>
    Object.values(BODIES).map((body, at) => {
      const file = join(folder, `typed-${protocol}-${at}.mts`);
      const options = {
        protocol,
        language: 'TypeScript',
        server: 'http://localhost:8000',
        withKey: true,
      } as const;
      writeFileSync(file, `${snippetOf(body, options).text}export {};\n`);
      return file;
    }),
  );
  const program = ts.createProgram(files, {
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    target: ts.ScriptTarget.ES2023,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    types: ['node'],
    typeRoots: [join(root, 'node_modules', '@types')],
  });
  const found = ts
    .getPreEmitDiagnostics(program)
    .map(
      ({ file, messageText }) =>
        `${file?.fileName.slice(folder.length)}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`,
    );
  expect(found).toEqual([]);
});

test('what a protocol has no place for is named', () => {
  const { omitted } = snippetOf(BODIES['all parameters'] as ChatBody, {
    protocol: 'Anthropic',
    language: 'curl',
    server: 'http://x',
    withKey: false,
  });
  expect(omitted.map((each) => each.split(':')[0])).toEqual(
    expect.arrayContaining(['seed', 'min_p', 'presence_penalty', 'frequency_penalty', 'repetition_penalty']),
  );
});
