/** The command line: what is wrong is exit 2 and says how to mend it; what is merely odd is a warning. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { runExecutable, startExecutable } from '../support/executable.ts';
import { ask, generate, metric } from '../support/http-client.ts';
import { scripted, scriptedFlags } from '../support/scripted-server.ts';
import { endingAfterAll, type ServerOptions, startServer, TEST_WORKERS } from '../support/server.ts';

type Sources = Omit<ServerOptions, 'endsWith'>;

const run = (args: readonly string[], sources: Sources = {}) =>
  runExecutable(args, { ...sources, endsWith: onTestFinished });

describe('a broken configuration is exit 2 and names the key, the value and what was expected', () => {
  const endsWith = endingAfterAll();
  const cases: readonly [string, readonly string[], Sources, readonly string[]][] = [
    ['a flag out of range', ['--port', '70000'], {}, ['server.port', '70000', '65535']],
    ['a flag that does not exist', ['--prot', '1'], {}, ['--prot']],
    [
      'a command that does not exist',
      ['serv'],
      {},
      ['There is no command "serv". Did you mean llm-serve serve?'],
    ],
    [
      'a command below another that does not exist',
      ['models', 'remov', 'x'],
      {},
      ['There is no command "models remov". Did you mean llm-serve models remove?'],
    ],
    ['a flag that would steer the terminal', ['--po\u001b[2Jt'], {}, ['--po\\u001b[2Jt']],
    ['a word behind flags', ['--port', '0', 'walk'], {}, ['There is no command "walk". Commands: serve,']],
    ['a command behind flags', ['--port', '0', 'chat'], {}, ['The command comes first: llm-serve chat,']],
    [
      'flags of a command that does not exist',
      ['chta', '--server', 'x'],
      {},
      ['Did you mean llm-serve chat?'],
    ],
    ['help on a command that does not exist', ['help', 'chta'], {}, ['Did you mean llm-serve chat?']],
    [
      'an address without its scheme',
      ['--backend', 'vllm', '--url', 'localhost:8001', '--model', 'x'],
      {},
      ['llm-serve: url is "localhost:8001"; write it with its scheme: http://localhost:8001.\n'],
    ],
    [
      'a key that does not exist',
      [],
      { configFile: 'server:\n  prot: 1\n' },
      ['server.prot', 'not known', 'port'],
    ],
    ['a file that is no YAML', [], { configFile: 'server: [\n' }, ['llm-serve.yaml', 'YAML']],
    ['a file that is not there', ['--config', 'missing.yaml'], {}, ['--config', 'missing.yaml']],
    [
      'a variable that is not set',
      [],
      { configFile: 'auth:\n  api_keys: ["${NOT_SET}"]\n' },
      ['auth.api_keys', 'NOT_SET'],
    ],
    [
      'a value in the environment',
      [],
      { environment: { LLM_SERVE_SCHEDULER__MODE: 'lazy' } },
      ['scheduler.mode', 'lazy', 'eager', 'window'],
    ],
    ['a backend that does not exist', ['--backend', 'olama', '--model', 'x'], {}, ['olama', 'ollama']],
    [
      'a target’s unknown key',
      scriptedFlags({ target: { slot: 1 } }),
      {},
      ['models[0].targets[0].slot', 'slots'],
    ],
    [
      'a model that the catalogue does not have',
      ['--backend', 'llama-cpp', '--model', 'no-such-model'],
      {},
      ['no-such-model', 'smollm2-135m-instruct', 'GGUF'],
    ],
    [
      'an address that others reach, without keys',
      [...scriptedFlags(), '--host', '0.0.0.0'],
      {},
      ['server.host', '0.0.0.0', 'auth.api_keys', 'auth.allow_open'],
    ],
  ];

  test.concurrent.each(cases)('%s', async (_name, flags, sources, said) => {
    const { exitCode, stdout, stderr } = await runExecutable(flags, {
      ...sources,
      endsWith,
    });
    expect(exitCode, stdout + stderr).toBe(2);
    for (const words of said) expect(stderr).toContain(words);
    expect(new Set(stderr.split('\n')).size, 'nothing is said twice').toBe(stderr.split('\n').length);
    expect(stderr, 'no stack').not.toMatch(/\n\s+at /);
  });

  test('a key that is too short is not shown', async () => {
    const { exitCode, stderr } = await run([...scriptedFlags(), '--auth.api-keys', '["secret!"]']);
    expect(exitCode).toBe(2);
    expect(stderr).toContain('auth.api_keys');
    expect(stderr).not.toContain('secret!');
  });
});

describe('the sources', () => {
  test('a flag beats the environment, which beats the file, which beats the default', async () => {
    const { exitCode, stdout } = await run(
      ['check-config', '--scheduler.max-batch-size', '3', ...scriptedFlags()],
      {
        environment: { LLM_SERVE_SCHEDULER__MAX_BATCH_SIZE: '4', LLM_SERVE_SCHEDULER__MAX_QUEUE: '5' },
        configFile: 'scheduler: { max_batch_size: 6, max_queue: 7, window_ms: 8 }\n',
      },
    );
    expect(exitCode).toBe(0);
    for (const line of ['max_batch_size: 3', 'max_queue: 5', 'window_ms: 8', 'queue_timeout_ms: 60000'])
      expect(stdout).toContain(`  ${line}
`);
  });

  test('a name that Kubernetes injects is only a warning', async () => {
    const server = await startServer({
      flags: scriptedFlags(),
      environment: { LLM_SERVE_PORT: 'tcp://10.0.0.1:80', LLM_SERVE_SERVICE_HOST: '10.0.0.1' },
      endsWith: onTestFinished,
    });
    expect((await ask(`${server.url}/health`)).status).toBe(200);
    const warnings = server.logs().filter(({ level }) => level === 40);
    expect(warnings.map(({ msg }) => msg)).toEqual([
      expect.stringContaining('LLM_SERVE_PORT'),
      expect.stringContaining('LLM_SERVE_SERVICE_HOST'),
    ]);
  });

  test('one model from the environment alone', async () => {
    const server = await startServer({
      environment: { LLM_SERVE_BACKEND: 'scripted', LLM_SERVE_MODEL: 'from-environment' },
      endsWith: onTestFinished,
    });
    expect((await generate(server, { prompt: 'hi' })).json().model).toBe('from-environment');
  });
});

describe('check-config', () => {
  test('prints what would be used, without a secret', async () => {
    const { exitCode, stdout, stderr } = await run(['check-config'], {
      environment: { UPSTREAM_KEY: 'upstream-secret' },
      configFile: [
        'auth: { api_keys: ["client-secret-1", "client-secret-2"] }',
        'models:',
        '  - id: big',
        '    aliases: [gpt-4o]',
        '    targets:',
        '      - { backend: openai-compatible, url: "http://127.0.0.1:9", model: big, api_key: "${UPSTREAM_KEY}" }',
      ].join('\n'),
    });
    expect(exitCode, stderr).toBe(0);
    expect(stdout).toContain('default_model: big');
    expect(stdout).toContain('(secret)');
    expect(stdout).toContain('gpt-4o');
    expect(stdout + stderr).not.toContain('secret-');
    expect(stdout + stderr).not.toContain('upstream-secret');
  });

  test('finds the same faults as the start', async () => {
    const { exitCode, stderr } = await run(['check-config', '--port', 'x']);
    expect(exitCode).toBe(2);
    expect(stderr).toContain('server.port is "x"');
  });
});

test('--help and --version are exit 0', async () => {
  const help = await run(['--help']);
  expect(help.exitCode).toBe(0);
  expect(help.stdout).toContain('check-config');
  const version = await run(['--version']);
  expect(version.exitCode).toBe(0);
  expect(version.stdout).toMatch(/^\d+\.\d+\.\d+/);
});

describe('behind a proxy', () => {
  const limited = ['--rate-limit.enabled', 'true', '--rate-limit.requests', '2'];
  const from = (address: string) => ({ headers: { 'x-forwarded-for': address }, body: { prompt: 'hi' } });

  test('X-Forwarded-For of a peer that is not trusted is ignored, and said once with the line that mends it', async () => {
    const server = await startServer({ flags: [...scriptedFlags(), ...limited], endsWith: onTestFinished });
    const statuses: number[] = [];
    for (const address of ['1.1.1.1', '2.2.2.2', '3.3.3.3'])
      statuses.push((await ask(`${server.url}/generate`, from(address))).status);
    expect(statuses, 'all share one limit').toEqual([200, 200, 429]);
    await server.logged(({ msg }) => msg.includes('server.trusted_proxies: ["127.0.0.1"]'));
    const said = server.logs().filter(({ msg }) => msg.includes('X-Forwarded-For'));
    expect(said.length, 'once by each process').toBeLessThanOrEqual(TEST_WORKERS);
  });

  test('without keys, a client elsewhere that a trusted proxy names is refused, and told what to do', async () => {
    const flags = [...scriptedFlags(), '--server.trusted-proxies', '["127.0.0.1"]'];
    const closed = await startServer({ flags, endsWith: onTestFinished });
    const refused = await ask(`${closed.url}/generate`, from('9.9.9.9'));
    expect([refused.status, refused.json().error]).toMatchObject([
      403,
      {
        code: 'forbidden',
        message: expect.stringMatching(/from 9\.9\.9\.9, .* keys create .* auth\.allow_open: true/),
      },
    ]);
    const here = await Promise.all(
      ['127.0.0.5', '9.9.9.9, 127.0.0.5'].map((address) => ask(`${closed.url}/generate`, from(address))),
    );
    expect(here.map(({ status }) => status)).toEqual([200, 200]);
    const open = await startServer({
      flags: [...flags, '--auth.allow-open', 'true'],
      endsWith: onTestFinished,
    });
    const { headers, body } = from('9.9.9.9');
    const host = 'api.example.com';
    expect((await ask(`${open.url}/generate`, { headers: { ...headers, host }, body })).status).toBe(200);
    expect((await ask(`${open.url}/generate`, { headers: { host }, body })).status).toBe(403);
  });

  test('a trusted proxy’s clients each have their own limit; an IPv4-mapped address is the IPv4 address', async () => {
    const server = await startServer({
      flags: [
        ...[...scriptedFlags(), ...limited, '--server.trusted-proxies', '["127.0.0.0/8"]'],
        ...['--auth.allow-open', 'true'],
      ],
      endsWith: onTestFinished,
    });
    const statusFor = async (address: string) => (await ask(`${server.url}/generate`, from(address))).status;
    expect(await statusFor('1.1.1.1')).toBe(200);
    expect(await statusFor('::ffff:1.1.1.1')).toBe(200);
    expect(await statusFor('1.1.1.1')).toBe(429);
    expect(await statusFor('2.2.2.2')).toBe(200);
    expect(await statusFor('6.6.6.6, 1.1.1.1'), 'what the client made up does not count').toBe(429);
    await server.logged(({ clientAddress }) => clientAddress === '2.2.2.2');
    expect(await metric(server, 'llm_serve_rejected_total', 'code="rate_limited"')).toBe(2);
  });
});

test('no prompt, answer or key is ever logged', async () => {
  const server = await startExecutable({
    flags: [...scriptedFlags(), '--auth.api-keys', '["key-of-a-client"]', '--logging.level', 'debug'],
    endsWith: onTestFinished,
  });
  const headers = { authorization: 'Bearer key-of-a-client', 'x-request-id': 'discreet' };
  const prompt = scripted({ text: 'private answer' }, 'private prompt');
  await ask(`${server.url}/generate`, { headers, body: { prompt } });
  await ask(`${server.url}/stream?api_key=key-in-query`, { headers, body: { prompt } });
  await server.requestLine('discreet');
  const { stdout, stderr } = await server.stop();
  expect(stdout + stderr).not.toMatch(/private|key-of-a-client|key-in-query/);
});

test('a name with control characters is shown, and steers no terminal', async () => {
  const ended = await runExecutable(
    ['--port', '0', '--logging.format', 'pretty', '--model', './no\u001b[2J\u009bname.gguf'],
    { endsWith: onTestFinished },
  );
  expect(ended.exitCode).toBe(1);
  const printed = ended.stdout + ended.stderr;
  expect(ended.stderr).toContain('no\\u001b[2J\\u009bname.gguf');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
  expect(printed).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
});
