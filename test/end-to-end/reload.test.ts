/** Another configuration takes effect while the server runs: what is under way goes on, what is wrong changes nothing. */
import { describe, expect, onTestFinished, test } from 'vitest';
import {
  ask,
  generate,
  metric,
  type OpenAnswer,
  openAnswer,
  stream,
  tokensOf,
} from '../support/http-client.ts';
import { whenReady } from '../support/readiness.ts';
import { storm, stormConfig } from '../support/reload-storm.ts';
import { scripted } from '../support/scripted-server.ts';
import { type ComposedServer, startServer } from '../support/server.ts';

interface ReadyAnswer {
  readonly models: readonly {
    readonly id: string;
    readonly targets: readonly { readonly name: string; readonly status: string; readonly health: string }[];
  }[];
}

const target = (name: string, keys = '') => `{ backend: scripted, name: ${name}, model: m${keys} }`;
const modelOf = (id: string, ...targets: string[]) => `  - { id: ${id}, targets: [${targets.join(', ')}] }`;
const configOf = (models: readonly string[], ...more: string[]) =>
  ['models:', ...models, ...more, 'rate_limit: { enabled: false }'].join('\n');

async function start(configFile: string): Promise<ComposedServer> {
  const server = await startServer({ configFile, endsWith: onTestFinished });
  await whenReady(server);
  return server;
}

const reload = (server: { readonly url: string }, headers: Readonly<Record<string, string>> = {}) =>
  ask(`${server.url}/admin/reload`, { method: 'POST', headers });

async function reloadTo(server: ComposedServer, configFile: string) {
  server.reconfigure({ configFile });
  const answer = await reload(server);
  expect(answer.status, answer.text).toBe(200);
  return answer.json<{ readonly changed: string[]; readonly unchanged_needs_restart: string[] }>();
}

/** A slot of the model is taken, until its client leaves. */
function occupied(server: ComposedServer, model: string): Promise<OpenAnswer> {
  const body = { model, prompt: scripted({ fail: 'hang-mid-stream' }) };
  return openAnswer(`${server.url}/stream`, { body });
}

async function targetsOf(server: ComposedServer): Promise<Record<string, string>> {
  const { models } = (await ask(`${server.url}/ready`)).json<ReadyAnswer>();
  return Object.fromEntries(
    models.flatMap(({ targets }) => targets.map(({ name, health }) => [name, health])),
  );
}

async function targetOf(server: ComposedServer, body: unknown): Promise<unknown> {
  const { headers } = await generate(server, body);
  return (await server.requestLine(String(headers['x-request-id']))).target;
}

describe('a reload', () => {
  test('that has nothing to change says so', async () => {
    const server = await start(configOf([modelOf('m', target('a'))]));
    expect(await reloadTo(server, configOf([modelOf('m', target('a'))]))).toEqual({
      changed: [],
      unchanged_needs_restart: [],
    });
  });

  test('adds, removes and replaces targets; streams on each of them go on to their end', async () => {
    const server = await start(
      configOf([modelOf('m', target('a', ', slots: 2'), target('b', ', slots: 2'))]),
    );
    const words = 'one two three four five six seven eight';
    const streams = await Promise.all(
      Array.from({ length: 4 }, () =>
        openAnswer(`${server.url}/stream`, {
          body: { prompt: scripted({ text: words, token_delay_ms: 100 }) },
        }),
      ),
    );
    await Promise.all(streams.map((open) => open.until((text) => text.includes('token'))));
    const { changed } = await reloadTo(
      server,
      configOf([modelOf('m', target('b', ', slots: 2, context_size: 999'), target('c'))]),
    );
    expect(changed).toEqual(['target a: removed', 'target b: replaced', 'target c: added']);
    expect(Object.keys(await targetsOf(server))).toEqual(['b', 'c']);
    expect(
      new Set([await targetOf(server, { prompt: 'x' }), await targetOf(server, { prompt: 'y' })]),
    ).not.toContain('a');
    for (const open of streams) {
      const text = await open.whole;
      expect(tokensOf(text)).toBe(words);
      expect(text).toContain('data: [DONE]');
    }
    const closed = (name: string) =>
      server.logged(
        ({ msg, target: id }) => msg.startsWith('target was removed and is closed') && id === name,
      );
    await Promise.all([closed('a'), closed('b')]);
    await expect.poll(() => metric(server, 'llm_serve_slots_used')).toBe(0);
  });

  test('keeps a target whose backend is the same, and gives it its new slots and weight at once', async () => {
    const server = await start(configOf([modelOf('m', target('a', ', slots: 1'))]));
    const running = await openAnswer(`${server.url}/stream`, {
      body: { prompt: scripted({ fail: 'hang-mid-stream' }) },
    });
    const waiting = generate(server, { prompt: 'x' });
    await expect.poll(() => metric(server, 'llm_serve_requests_waiting')).toBe(1);
    const { changed } = await reloadTo(
      server,
      configOf([modelOf('m', target('a', ', slots: 2, weight: 5'))]),
    );
    expect(changed).toEqual(['target a: weight 1 → 5', 'target a: slots 1 → 2']);
    expect((await waiting).status).toBe(200);
    await expect.poll(() => metric(server, 'llm_serve_slots_used')).toBe(1);
    running.leave();
  });

  test('what waits for a removed target goes to the others; what waits for a removed model is still served there', async () => {
    const server = await start(
      configOf([modelOf('m', target('a', ', slots: 1')), modelOf('n', target('n1', ', slots: 1'))]),
    );
    const [atA, atN1] = [await occupied(server, 'm'), await occupied(server, 'n')];
    const asked = ['m', 'n'].map((model) => generate(server, { model, prompt: scripted({ text: 'done' }) }));
    await expect.poll(() => metric(server, 'llm_serve_requests_waiting')).toBe(2);
    await reloadTo(server, configOf([modelOf('m', target('b', ', slots: 1'))]));
    expect((await generate(server, { model: 'n', prompt: 'x' })).json().error.code).toBe('model_not_found');
    atN1.leave();
    const answers = await Promise.all(asked);
    expect(answers.map(({ status, text }) => [status, text.includes('"text":"done"')])).toEqual(
      Array.from({ length: 2 }, () => [200, true]),
    );
    const lines = await Promise.all(
      answers.map(({ headers }) => server.requestLine(String(headers['x-request-id']))),
    );
    expect(lines.map((line) => line.target)).toEqual(['b', 'n1']);
    await server.logged(({ msg, target: id }) => msg.startsWith('target was removed') && id === 'n1');
    atA.leave();
  });

  test('a model that is removed and comes back while requests wait for it serves them', async () => {
    const both = configOf([modelOf('m', target('a')), modelOf('n', target('n1', ', slots: 1'))]);
    const server = await start(both);
    const atN1 = await occupied(server, 'n');
    const asked = [1, 2].map(() => generate(server, { model: 'n', prompt: 'x' }));
    await expect.poll(() => metric(server, 'llm_serve_requests_waiting')).toBe(2);
    await reloadTo(server, configOf([modelOf('m', target('a'))]));
    await reloadTo(server, both);
    atN1.leave();
    expect((await Promise.all(asked)).map(({ status }) => status)).toEqual([200, 200]);
  });

  test('changes aliases, the default model, defaults and limits for the next request', async () => {
    const server = await start(configOf([modelOf('m', target('a')), modelOf('n', target('n1'))]));
    await reloadTo(
      server,
      [
        'models:',
        '  - { id: m, aliases: [other], targets: [{ backend: scripted, name: a, model: m }] }',
        modelOf('n', target('n1')),
        'default_model: n',
        'generation: { max_tokens: 3 }',
        'server: { body_limit_bytes: 300 }',
        'rate_limit: { requests: 4, window_seconds: 100 }',
      ].join('\n'),
    );
    const first = await generate(server, { prompt: scripted({ text: 'a b c d e' }) });
    expect(first.json()).toMatchObject({ model: 'n', text: 'a b c', finish_reason: 'length' });
    expect(first.headers['x-ratelimit-limit']).toBe('4');
    expect((await generate(server, { model: 'other', prompt: 'x' })).json()).toMatchObject({ model: 'm' });
    expect((await generate(server, { prompt: 'x'.repeat(400) })).status).toBe(413);
    const { changed } = await reloadTo(
      server,
      configOf([modelOf('m', target('a')), modelOf('n', target('n1'))]),
    );
    expect(changed).toContain('default_model: "n" → "m"');
    expect((await generate(server, { prompt: 'x' })).headers).not.toHaveProperty('x-ratelimit-limit');
  });

  test('keys: a new one is accepted at once, an old one no more', async () => {
    const models = [modelOf('m', target('a'))];
    const keys = (...list: string[]) => configOf(models, `auth: { api_keys: [${list.join(', ')}] }`);
    const server = await start(keys('first-key-1'));
    const statusOf = async (key: string) =>
      (await ask(`${server.url}/generate`, { body: { prompt: 'x' }, headers: { 'x-api-key': key } })).status;
    expect([await statusOf('first-key-1'), await statusOf('second-key-2')]).toEqual([200, 401]);
    await reloadTo(server, keys('second-key-2'));
    expect([await statusOf('first-key-1'), await statusOf('second-key-2')]).toEqual([401, 200]);
  });

  test('of a broken configuration changes nothing and gives the reason, to its caller and to the log', async () => {
    const server = await start(configOf([modelOf('m', target('a'))]));
    server.reconfigure({
      configFile: configOf([modelOf('m', target('a'), target('a'))], 'generation: { max_tokens: 3 }'),
    });
    const answer = await reload(server);
    expect(answer.status).toBe(422);
    const { error } = answer.json();
    expect(error.code).toBe('invalid_configuration');
    expect(error.message).toContain('"a"');
    await server.logged(
      ({ msg }) =>
        msg.includes('the configuration was not reloaded, nothing has changed') &&
        msg.includes(error.message),
    );
    expect((await generate(server, { prompt: scripted({ text: 'a b c d e' }) })).json().text).toBe(
      'a b c d e',
    );
    server.reconfigure({ configFile: 'server: [' });
    expect((await reload(server)).json().error.message).toContain('llm-serve.yaml is not valid YAML');
  });

  test('names what needs a restart each time, until there is nothing', async () => {
    const server = await start(configOf([modelOf('m', target('a'))]));
    const wanted = configOf(
      [modelOf('m', target('a'))],
      'scheduler: { aging_ms: 7 }',
      'logging: { level: warn }',
    );
    const staying = ['scheduler.aging_ms', 'logging.level'];
    expect(await reloadTo(server, wanted)).toEqual({ changed: [], unchanged_needs_restart: staying });
    expect(await reloadTo(server, wanted)).toEqual({ changed: [], unchanged_needs_restart: staying });
    expect(await reloadTo(server, configOf([modelOf('m', target('a'))]))).toEqual({
      changed: [],
      unchanged_needs_restart: [],
    });
  });

  test('during another one is refused; a signal’s comes after it', async () => {
    const server = await start(configOf([modelOf('m', target('a'))]));
    server.reconfigure({ configFile: configOf([modelOf('m', target('a'), target('b'))]) });
    const read = server.holdReading();
    const first = reload(server);
    await read.began;
    const second = await reload(server);
    expect(second.status).toBe(409);
    expect(second.json().error.code).toBe('reload_in_progress');
    server.reload('SIGHUP');
    read.release();
    expect((await first).status).toBe(200);
    await server.logged(({ msg }) => msg === 'SIGHUP: nothing has changed');
  });
});

test('streams that are open during many reloads get every word', async () => {
  const server = await start(stormConfig(0));
  const { broken } = await storm(server, { streams: 40, reloads: 10, tokens: 20, paceMs: 50 });
  expect(broken).toEqual([]);
  await expect.poll(() => metric(server, 'llm_serve_requests_running')).toBe(0);
});

describe('a drained target', () => {
  // A prompt would have a home among the targets.
  const two = configOf([modelOf('m', target('a:1/x'), target('b'))], 'routing: { prefix_affinity: false }');
  const path = (server: ComposedServer, action: string) => `${server.url}/admin/targets/a:1/x/${action}`;

  test('gets nothing new, finishes what it has, says so in /ready, and comes back', async () => {
    const server = await start(two);
    const open = await openAnswer(`${server.url}/stream`, {
      body: { prompt: scripted({ text: 'one two three four', token_delay_ms: 800 }) },
    });
    await open.until((text) => text.includes('token'));
    const drained = await ask(path(server, 'drain'), { method: 'POST' });
    expect(drained.json<unknown>()).toEqual({
      ...{ name: 'a:1/x', model: 'm', backend: 'scripted', status: 'ready', health: 'draining', running: 1 },
    });
    expect(await targetsOf(server)).toEqual({ 'a:1/x': 'draining', b: 'ready' });
    const targets = [];
    for (let count = 0; count < 4; count += 1) targets.push(await targetOf(server, { prompt: 'x' }));
    expect(targets).toEqual(['b', 'b', 'b', 'b']);
    expect(tokensOf(await open.whole)).toBe('one two three four');
    expect((await ask(path(server, 'enable'), { method: 'POST' })).json<{ health: string }>().health).toBe(
      'ready',
    );
    expect(await targetOf(server, { prompt: 'x' })).toBe('a:1/x');
  });

  test('stays drained over a reload, also one that replaces it', async () => {
    const server = await start(two);
    await ask(path(server, 'drain'), { method: 'POST' });
    await reloadTo(server, configOf([modelOf('m', target('a:1/x', ', weight: 2'), target('b'))]));
    expect((await targetsOf(server))['a:1/x']).toBe('draining');
    await reloadTo(server, configOf([modelOf('m', target('a:1/x', ', context_size: 99'), target('b'))]));
    expect((await targetsOf(server))['a:1/x']).toBe('draining');
    await ask(path(server, 'enable'), { method: 'POST' });
    await expect.poll(async () => (await targetsOf(server))['a:1/x']).toBe('ready');
  });

  test('when all are drained, requests are refused with a reason, and served again once one is back', async () => {
    const server = await start(configOf([modelOf('m', target('a:1/x'))]));
    await ask(path(server, 'drain'), { method: 'POST' });
    expect((await stream(server, { prompt: 'x' })).json().error.code).toBe('no_backend_available');
    await ask(path(server, 'enable'), { method: 'POST' });
    expect((await generate(server, { prompt: 'x' })).status).toBe(200);
  });
});
