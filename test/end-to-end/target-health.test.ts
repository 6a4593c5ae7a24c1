/** The health of real targets: a probe that passes does not keep a failing server in service, and slowness never empties a model. */
import { expect, onTestFinished, test } from 'vitest';
import { ask, generate, metric, stream } from '../support/http-client.ts';
import { whenReady } from '../support/readiness.ts';
import { type ComposedServer, startServer } from '../support/server.ts';
import { type OpenAiStandInOptions, startOpenAiStandIn } from '../support/stand-ins/openai-stand-in.ts';

const WITHIN = { timeout: 60_000, interval: 20 };
const PROMPT = { prompt: 'count from one to five please', max_tokens: 3 };

interface Ready {
  readonly status: string;
  readonly models: readonly {
    readonly status: string;
    readonly targets: readonly { readonly name: string; readonly status: string; readonly health: string }[];
  }[];
}

async function readiness(server: ComposedServer): Promise<Ready> {
  return (await ask(`${server.url}/ready`)).json<Ready>();
}

async function healthOf(server: ComposedServer, name: string): Promise<string | undefined> {
  const { models } = await readiness(server);
  return models[0]?.targets.find((target) => target.name === name)?.health;
}

async function twoTargets(
  options: Readonly<Record<string, OpenAiStandInOptions>>,
  more: Readonly<Record<string, object>> = {},
) {
  const standIns = await Promise.all(
    Object.entries(options).map(
      async ([name, option]) => [name, await startOpenAiStandIn({ server: 'generic', ...option })] as const,
    ),
  );
  onTestFinished(() => Promise.all(standIns.map(([, standIn]) => standIn.close())).then(() => {}));
  const targets = standIns.map(([name, { url, model }]) => ({
    name,
    backend: 'openai-compatible',
    url,
    model,
    slots: 2,
    ...more[name],
  }));
  const server = await startServer({
    // The first target gets what the second could get too.
    flags: [
      ...['--models', JSON.stringify([{ id: 'm', targets }]), '--rate-limit.enabled', 'false'],
      ...['--routing.prefix-affinity', 'false'],
    ],
    endsWith: onTestFinished,
  });
  await whenReady(server);
  for (const [name] of standIns) await expect.poll(() => healthOf(server, name), WITHIN).toBe('ready');
  const standIn = (name: string) => {
    const found = standIns.find(([of]) => of === name)?.[1];
    if (found === undefined) throw new Error(`there is no target ${name}`);
    return found;
  };
  return { server, standIn };
}

/** The states that the log has reported of the target, in their order. */
function statesOf(server: ComposedServer, name: string): readonly unknown[] {
  return server
    .logs()
    .flatMap(({ target, health }) => (target === name && health !== undefined ? [health] : []));
}

/** With workers, a fault may be counted a moment after the answer that another target gave. */
const firstStatesOf = (server: ComposedServer, name: string) =>
  expect.poll(() => statesOf(server, name).slice(0, 3), WITHIN);

test('a target that answers 500 behind a passing probe is ejected after three requests, gets one for each back-off, and returns when it works', async () => {
  const { server, standIn } = await twoTargets({ failing: {}, healthy: {} });
  const failing = standIn('failing');
  await failing.setFault('error-500');
  const asked = async () => {
    const answer = await generate(server, PROMPT);
    expect(answer.status, answer.text).toBe(200);
  };
  for (let count = 0; count < 3; count += 1) await asked();
  await firstStatesOf(server, 'failing').toEqual(['ready', 'degraded', 'ejected']);
  const ejected = await server.logged(({ health }) => health === 'ejected');
  expect(ejected).toMatchObject({ target: 'failing', cause: 'server_error' });
  expect(ejected.msg).toMatch(
    /^target is ejected for (0\.[89]|1\.[0-2]) s: 3 requests in a row failed, the last with server_error$/,
  );
  expect((await readiness(server)).status).toBe('ready');
  // Until its second trial, however long this machine takes for it.
  const trials = () => statesOf(server, 'failing').filter((state) => state === 'probing').length;
  while (trials() < 2) await Promise.all([asked(), asked(), asked()]);
  // A trial is written down as it begins, which comes later from a worker.
  await expect.poll(() => failing.counts().started - trials()).toBeLessThanOrEqual(3);
  await failing.setFault('none');
  await expect.poll(() => asked().then(() => healthOf(server, 'failing')), WITHIN).toBe('ready');
  const states = statesOf(server, 'failing');
  expect(states.slice(0, 5)).toEqual(['ready', 'degraded', 'ejected', 'probing', 'ejected']);
  expect(states.slice(-2)).toEqual(['probing', 'ready']);
  const ejections = states.filter((state) => state === 'ejected').length;
  const labels = 'model="m",target="failing"';
  expect(await metric(server, 'llm_serve_target_ejections_total', `${labels},cause="server_error"`)).toBe(
    ejections,
  );
  expect(await metric(server, 'llm_serve_target_health', `${labels},health="ready"`)).toBe(1);
  expect(statesOf(server, 'healthy')).toEqual(['ready']);
  await expect.poll(() => metric(server, 'llm_serve_slots_used'), WITHIN).toBe(0);
});

test('when the healthy target goes down, the ejected one is in service again', async () => {
  const { server, standIn } = await twoTargets({ failing: {}, healthy: {} });
  await standIn('failing').setFault('error-500');
  for (let count = 0; count < 3; count += 1) expect((await generate(server, PROMPT)).status).toBe(200);
  await standIn('failing').setFault('none');
  await standIn('healthy').setFault('refuse');
  await expect.poll(() => healthOf(server, 'healthy'), WITHIN).toBe('down');
  const answer = await generate(server, PROMPT);
  expect(answer.status, answer.text).toBe(200);
  expect((await readiness(server)).status).toBe('ready');
});

test('a slow target is degraded, then left to itself, and the last one keeps its requests however slow it is', async () => {
  const slow = { firstTokenDelayMs: 500 };
  const limits = { first_token_timeout_ms: 50 };
  const { server, standIn } = await twoTargets({ slow, fast: {} }, { slow: limits });
  for (let count = 0; count < 6; count += 1) {
    const answer = await stream(server, PROMPT);
    expect(answer.text).toContain('[DONE]');
  }
  await firstStatesOf(server, 'slow').toEqual(['ready', 'degraded', 'ejected']);
  await standIn('fast').setFault('refuse');
  await expect.poll(() => healthOf(server, 'fast'), WITHIN).toBe('down');
  for (let count = 0; count < 8; count += 1) {
    const answer = await stream(server, PROMPT);
    expect(answer.json().error.code).toBe('backend_error');
  }
  const { status, models } = await readiness(server);
  expect(status).toBe('ready');
  expect(models[0]?.targets).toMatchObject([{ health: 'degraded' }, { health: 'down' }]);
});
