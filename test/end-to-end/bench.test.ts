/** The built `llm-serve bench`, from its flags over its reports to its exit code, as a person or a pipeline sees it. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { PROTOCOL_NAMES } from '../../src/bench/protocols.ts';
import type { RunJson } from '../../src/bench/report-json.ts';
import { CLEAR_LINE } from '../../src/cli/terminal.ts';
import { type Handler, serve } from '../support/bench/answering-server.ts';
import { PIECES } from '../support/bench/paced-answers.ts';
import { type CommandOptions, runExecutable, startCommand, startExecutable } from '../support/executable.ts';
import { metric } from '../support/http-client.ts';
import { hasTerminals, NO_TERMINALS, onTerminal } from '../support/pseudo-terminal.ts';
import { scriptedFlags } from '../support/scripted-server.ts';
import { type ComposedServer, endingAfterAll, startServer } from '../support/server.ts';

const KEY = 'key-of-ann';
const endsWith = endingAfterAll();
let open: ComposedServer;
let locked: ComposedServer;

beforeAll(async () => {
  open = await startServer({ flags: scriptedFlags({ target: { slots: 2 } }), endsWith });
  locked = await startServer({
    flags: [...scriptedFlags(), '--auth.api-keys', JSON.stringify([KEY])],
    endsWith,
  });
});

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'llm-serve-bench-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

const SMALL = ['--concurrency', '1,2', '--requests', '3', '--warmup', '0', '--output-tokens', '4'];

function bench(words: readonly string[], options: Partial<CommandOptions> = {}) {
  return runExecutable(['bench', ...words], { ...options, endsWith: onTestFinished });
}

const readRun = (file: string) => JSON.parse(readFileSync(file, 'utf8')) as RunJson;

describe('what a run leaves', () => {
  test.each(PROTOCOL_NAMES)('in %s: a table, JSON, a page, and 0', async (protocol) => {
    const [json, html] = ['run.json', 'run.html'].map((name) => join(folder(), name)) as [string, string];
    const { exitCode, stdout, stderr } = await bench([
      ...[open.url, '--protocol', protocol, ...SMALL, '--json', json, '--html', html, '--raw'],
    ]);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(stdout).toContain(`${open.url}: llm-serve, model demo, protocol ${protocol}\n`);
    expect(stdout).toMatch(/^LOAD +DONE +GOOD .*\n1 user +3\/3 .*\n2 users +3\/3 .*\n/m);
    const run = readRun(json);
    expect(run).toMatchObject({
      format: 'llm-serve-bench',
      protocol,
      interrupted: false,
      server_lost: false,
    });
    expect(run.steps.map(({ completed, errors }) => [completed, errors])).toEqual([
      [3, {}],
      [3, {}],
    ]);
    expect(run.steps[0]).toMatchObject({ requests_raw: expect.objectContaining({ length: 3 }) });
    expect(run.steps[0]?.output_tokens).toMatchObject({ counted_by: 'usage' });
    // The sentence is the same in all three.
    expect(stdout).toContain(run.verdict);
    expect(readFileSync(html, 'utf8')).toContain(run.verdict);
  });

  test('with --json -: JSON alone on standard output, the rest on standard error', async () => {
    const { exitCode, stdout, stderr } = await bench([open.url, ...SMALL, '--json', '-']);
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ format: 'llm-serve-bench', model: 'demo' });
    expect(stderr).toContain('Measuring 2 users …');
  });

  test('of arrivals at random, with prompts from a file', async () => {
    const file = join(folder(), 'prompts.jsonl');
    writeFileSync(file, '{"prompt":"one two","output_tokens":2}\n{"prompt":"three","output_tokens":3}\n');
    const load = ['--rate', '100', '--requests', '10', '--warmup', '0', '--dataset', file];
    const { exitCode, stdout } = await bench([open.url, ...load, '--json', '-']);
    expect(exitCode).toBe(0);
    const { settings, steps } = JSON.parse(stdout) as RunJson;
    expect(settings).toMatchObject({
      dataset: 'prompts.jsonl',
      prompt_tokens: 'dataset',
      output_tokens: 'dataset',
    });
    expect(steps).toMatchObject([{ load: { kind: 'open', rate: 100, burstiness: 1 }, completed: 10 }]);
    expect(steps[0]?.output_tokens.asked_mean).toBeGreaterThan(2);
    expect(steps[0]?.client_delay_ms).toMatchObject({ count: 10 });
  });

  test('where every request is rejected: what was rejected, and 1', async () => {
    const address = await serve((request, response) => {
      if (request.url === '/v1/models')
        return response.end(JSON.stringify({ data: [{ id: 'm', object: 'model', owned_by: 'me' }] }));
      return response.writeHead(429).end('{"error":{"message":"later"}}');
    });
    const { exitCode, stdout } = await bench([address, ...SMALL]);
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(/No request completed: http_429\.\n$/);
  });

  test.skipIf(!hasTerminals)(`on a terminal: a bar while it runs (${NO_TERMINALS} else)`, async () => {
    const terminal = onTerminal(['bench', open.url, ...SMALL]);
    const shown = await terminal.shows('TTFT, TPOT, ITL and E2E in milliseconds.');
    expect(shown).toMatch(/2 users +█+ 3 of 3 requests, \d+ tokens\/s/);
    // The bar is gone before the table comes.
    expect(shown).toContain(`tokens/s${CLEAR_LINE}LOAD`);
    expect(await terminal.exitCode).toBe(0);
  });
});

describe('the server', () => {
  test('may be an argument, a flag or a variable, but not two of the first', async () => {
    const { url } = open;
    const load = ['--concurrency', '1', '--requests', '1', '--warmup', '0', '--json', '-'];
    const runs = await Promise.all([
      bench([new URL(url).host, ...load]),
      bench(['--server', `${url}/v1`, ...load]),
      bench(load, { environment: { LLM_SERVE_SERVER: url } }),
    ]);
    const addresses = runs.map(({ stdout }) => (JSON.parse(stdout) as RunJson).address);
    expect(addresses).toEqual([url, url, url]);
    const twice = await bench([url, '--server', url]);
    expect([twice.exitCode, twice.stderr]).toEqual([
      2,
      'llm-serve: Name the server once: as the argument, or with --server.\n',
    ]);
  });

  test('may be several that share the load, each named once', async () => {
    const other = await startServer({ flags: scriptedFlags({ id: 'demo' }), endsWith: onTestFinished });
    const load = ['--concurrency', '2', '--requests', '4', '--warmup', '0'];
    const { exitCode, stdout } = await bench([open.url, other.url, ...load]);
    expect(exitCode).toBe(0);
    expect(stdout).toContain(`${open.url}, ${other.url}: llm-serve`);
    for (const { url } of [open, other])
      expect(stdout).toMatch(new RegExp(`^${url} +2 users +\\d/\\d `, 'm'));
    const twice = await bench([open.url, open.url, ...load]);
    expect([twice.exitCode, twice.stderr]).toEqual([
      2,
      `llm-serve: ${open.url} is named twice: each server has one share.\n`,
    ]);
  });

  test('that wants a key gets it, and no report shows it', async () => {
    const without = await bench([locked.url, ...SMALL]);
    expect([without.exitCode, without.stderr]).toEqual([
      1,
      `llm-serve: ${locked.url} cannot be measured: it wants an API key (401). Give one with --key or LLM_SERVE_KEY, or what else it wants with --header.\n`,
    ]);
    const html = join(folder(), 'run.html');
    const given = await bench([locked.url, ...SMALL, '--key', KEY, '--json', '-', '--html', html]);
    expect(given.exitCode).toBe(0);
    expect(JSON.parse(given.stdout)).toMatchObject({ steps: [{ completed: 3 }, { completed: 3 }] });
    for (const text of [given.stdout, given.stderr, readFileSync(html, 'utf8')])
      expect(text).not.toContain(KEY);
    const variable = await bench([locked.url, ...SMALL], { environment: { LLM_SERVE_KEY: KEY } });
    expect(variable.exitCode).toBe(0);
    const wrong = await bench([locked.url, ...SMALL, '--key', 'a\nb']);
    expect([wrong.exitCode, wrong.stderr]).toEqual([2, expect.stringContaining('The key (--key) holds')]);
  });

  test('that wants a header gets it', async () => {
    const address = await gateway('x-tenant');
    const without = await bench([address, ...SMALL]);
    expect([without.exitCode, without.stderr]).toEqual([1, expect.stringContaining('with --header')]);
    const html = join(folder(), 'run.html');
    const given = await bench([address, ...SMALL, '--header', 'x-tenant: secret-tenant', '--html', html]);
    expect(given.exitCode).toBe(0);
    expect(given.stdout).toMatch(/^2 users +3\/3 /m);
    expect(given.stdout + readFileSync(html, 'utf8')).not.toContain('secret-tenant');
  });

  test.each([
    ['ftp://x', 2, 'The address is "ftp://x", but must be an http or https address'],
    ['http://127.0.0.1:1', 1, 'No server answers at http://127.0.0.1:1 (connection refused). Start one with'],
    ['http://nowhere.invalid', 1, 'No server answers at http://nowhere.invalid ('],
  ])('at %s is none', async (url, code, message) => {
    const { exitCode, stderr } = await bench([url, ...SMALL]);
    expect({ exitCode, stderr }).toEqual({ exitCode: code, stderr: expect.stringContaining(message) });
  });

  test.each([
    ['has no model', '{"object":"list","data":[]}', 'lists no model. Name one with --model.'],
    ['is another site', '<!doctype html>', 'speaks no protocol that is known here'],
  ])('that %s is told, with 1', async (_, body, message) => {
    const address = await serve((request, response) => {
      if (request.url === '/v1/chat/completions' && body.startsWith('{'))
        return response.writeHead(400).end('{}');
      return response.end(body);
    });
    const { exitCode, stderr } = await bench([address, ...SMALL]);
    expect({ exitCode, stderr }).toEqual({ exitCode: 1, stderr: expect.stringContaining(message) });
  });

  test('that is killed in the middle ends the run: what was measured until then, and 1', async () => {
    const server = await startExecutable({
      flags: scriptedFlags({ target: { slots: 2, token_delay_ms: 5 } }),
      endsWith: onTestFinished,
    });
    const json = join(folder(), 'run.json');
    const running = startCommand(
      [
        'bench',
        server.url,
        '--duration',
        '3600',
        '--concurrency',
        '2,4',
        '--output-tokens',
        '4',
        '--json',
        json,
      ],
      { endsWith: onTestFinished },
    );
    await expect
      .poll(() => metric(server, 'llm_serve_time_to_first_token_seconds_count'))
      .toBeGreaterThan(12);
    await server.stop('SIGKILL');
    const { exitCode, stdout } = await running.ended;
    expect(exitCode).toBe(1);
    expect(stdout).toContain('The server went away; this is what was measured until then.');
    const { server_lost: isLost, steps } = readRun(json);
    expect([isLost, steps.length]).toEqual([true, 1]);
    expect(steps[0]?.completed).toBeGreaterThan(0);
    expect(steps[0]?.failed).toBeLessThan(50);
  });
});

const MODELS = JSON.stringify({ object: 'list', data: [{ id: 'm', object: 'model', owned_by: 'me' }] });
const { token, end } = PIECES['openai-chat'];
const ANSWER = `${token('a')}${token('b')}${end({ promptTokens: 20, outputTokens: 2 }).join('')}`;

/** The address of a server that refuses what has not this header. */
function gateway(header: string): Promise<string> {
  return serve((request, response) => {
    if (request.headers[header] === undefined) return response.writeHead(401).end('{}');
    return response.end(request.url === '/v1/models' ? MODELS : ANSWER);
  });
}

describe('Ctrl-C', () => {
  /** The command, and a server that answers this many requests: it resolves once one more has come. */
  async function stuckAfter(requests: number, words: readonly string[]) {
    let asked = 0;
    let come: () => void = () => {};
    const stuck = new Promise<void>((resolve) => {
      come = resolve;
    });
    const handler: Handler = (request, response) => {
      asked += 1;
      if (asked > requests) return come();
      return response.end(request.url === '/v1/models' ? MODELS : ANSWER);
    };
    const command = startCommand(['bench', await serve(handler), ...words], { endsWith: onTestFinished });
    await stuck;
    command.signal('SIGINT');
    return command.ended;
  }

  /** Of /v1/models and /api/version, and of the two prompts by which it is learnt how tokens are counted. */
  const FOUND_OUT = 2;
  const LEARNT = FOUND_OUT + 2;

  test.each([
    ['it finds out what answers', 0],
    ['it sends the first request', FOUND_OUT],
    ['it warms up', LEARNT + 1],
  ])('while %s ends it at once: no report, no file, 130', async (_, requests) => {
    const html = join(folder(), 'run.html');
    const words = ['--warmup', '2', '--concurrency', '2', '--html', html];
    const { exitCode, stdout, stderr } = await stuckAfter(requests, words);
    expect({ exitCode, stderr }).toEqual({
      exitCode: 130,
      stderr: 'llm-serve: Interrupted before anything was measured.\n',
    });
    expect(stdout).not.toContain('LOAD');
    expect(existsSync(html)).toBe(false);
  });

  test('during a load leaves what was measured until then, in every report, and 130', async () => {
    const [json, html] = ['run.json', 'run.html'].map((name) => join(folder(), name)) as [string, string];
    const words = [
      '--warmup',
      '0',
      '--concurrency',
      '1,2',
      '--requests',
      '5',
      '--json',
      json,
      '--html',
      html,
    ];
    const { exitCode, stdout } = await stuckAfter(LEARNT + 3, words);
    expect(exitCode).toBe(130);
    expect(stdout).toMatch(/^1 user +3\/3 /m);
    expect(stdout).not.toMatch(/^2 users/m);
    expect(stdout).toContain('Interrupted; this is what was measured until then.');
    expect(readRun(json)).toMatchObject({ interrupted: true, steps: [{ completed: 3, cancelled: 1 }] });
    expect(readFileSync(html, 'utf8')).toContain('Interrupted; this is what was measured until then.');
  });
});

test.each([
  [['--concurrency', '0'], '--concurrency is "0"; it must be a whole number from 1 to 4096.'],
  [
    ['--rate', '1', '--concurrency', '1'],
    '--concurrency (closed loop) and --rate (open loop) exclude each other',
  ],
  [['--slo', 'p99=3'], '--slo is "p99=3"; write targets in milliseconds'],
  [['--html', '/nowhere/at/all.html'], '--html: /nowhere/at/all.html cannot be written'],
  [['--dataset', '/nowhere.jsonl'], '/nowhere.jsonl cannot be read'],
  [['--raw'], '--raw needs --json'],
  [['--dataset', 'a.jsonl', '--prompt-tokens', '9'], '--prompt-tokens and --dataset exclude each other'],
  [['--dataset', 'a.jsonl', '--prefix-tokens', '9'], '--prefix-tokens and --dataset exclude each other'],
  [['--think', 'hard'], '--think is "hard"; it can be true, false, low, medium, high.'],
])('%j is a wrong usage: 2, before a request is sent', async (words, message) => {
  const { exitCode, stdout, stderr } = await bench([open.url, ...words]);
  expect({ exitCode, stdout, stderr }).toEqual({
    ...{ exitCode: 2, stdout: '' },
    stderr: expect.stringContaining(message),
  });
});

test('two runs are compared, and what is no run is refused', async () => {
  const [one, other] = ['a.json', 'b.json'].map((name) => join(folder(), name)) as [string, string];
  const load = [open.url, '--concurrency', '2', '--requests', '10', '--warmup', '0', '--output-tokens', '4'];
  await bench([...load, '--json', one]);
  await bench([...load, '--json', other, '--seed', '2']);
  const { exitCode, stdout } = await bench(['compare', one, other]);
  expect(exitCode).toBe(0);
  expect(stdout).toMatch(/^settings differs: .*"seed":1.* \| .*"seed":2/m);
  expect(stdout).toMatch(/^2 users\n +A +B +B ÷ A +SPREAD\n/m);
  expect(stdout).toMatch(
    /^E2E p50 +[\d.]+ +[\d.]+ +[\d.]+ +[\d.]+–[\d.]+ +(no difference beyond noise|B is (higher|lower))$/m,
  );
  const notes = join(folder(), 'notes.json');
  writeFileSync(notes, '{}');
  const refused = await bench(['compare', one, notes]);
  expect([refused.exitCode, refused.stderr]).toEqual([
    2,
    expect.stringContaining('is no result of llm-serve bench'),
  ]);
});
