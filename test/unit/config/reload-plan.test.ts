import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../../src/config/config-error.ts';
import { loadConfig } from '../../../src/config/load.ts';
import { planReload, reloadedSince } from '../../../src/config/reload-plan.ts';

const loaded = (text: string) =>
  loadConfig({ flags: {}, environment: {}, file: { name: 'llm-serve.yaml', text } });
const load = (text: string) => loaded(text).config;

const plan = (running: string, wanted: string, storeHeldKeys = false) =>
  planReload(load(running), load(wanted), { storeHeldKeys, hasAdmin: false });

const A = '{ backend: scripted, name: a, model: m }';
const B = '{ backend: vllm, name: b, model: m, url: "http://b:8000" }';
const withTargets = (...targets: string[]) => `models: [{ id: m, targets: [${targets.join(', ')}] }]`;

describe('what a reload changes', () => {
  it('is nothing where nothing is different', () => {
    const { changed, needsRestart, kept } = plan(withTargets(A, B), withTargets(A, B));
    expect({ changed, needsRestart, kept: [...kept] }).toEqual({
      changed: [],
      needsRestart: [],
      kept: ['a', 'b'],
    });
  });

  it.each([
    ['added', withTargets(A), withTargets(A, B), ['target b: added'], ['a']],
    ['removed', withTargets(A, B), withTargets(A), ['target b: removed'], ['a']],
    [
      'at another address',
      withTargets(A, B),
      withTargets(A, B.replace('b:8000', 'c:8000')),
      ['target b: replaced'],
      ['a'],
    ],
    [
      'with another key for its server',
      withTargets(B),
      withTargets(B.replace('}', ', api_key: other }')),
      ['target b: replaced'],
      [],
    ],
    [
      'of another weight and time-out',
      withTargets(B),
      withTargets(B.replace('}', ', weight: 3, idle_timeout_ms: 9 }')),
      ['target b: weight 1 → 3', 'target b: idle_timeout_ms 30000 → 9'],
      ['b'],
    ],
    [
      'with more slots, remote',
      withTargets(B),
      withTargets(B.replace('}', ', slots: 3 }')),
      ['target b: slots 64 → 3'],
      ['b'],
    ],
    [
      'with more slots, embedded',
      withTargets('{ backend: llama-cpp, model: smollm2-135m-instruct, slots: 1 }'),
      withTargets('{ backend: llama-cpp, model: smollm2-135m-instruct, slots: 2 }'),
      ['target m/llama-cpp/0: replaced'],
      [],
    ],
    [
      'of another model',
      withTargets(A, B),
      `models: [{ id: m, targets: [${A}] }, { id: n, targets: [${B}] }]`,
      ['model n: added', 'target b: replaced'],
      ['a'],
    ],
    [
      'in a model with other aliases and fallbacks',
      `models: [{ id: m, targets: [${A}] }, { id: n, targets: [${B}] }]`,
      `models: [{ id: m, aliases: [x], fallback_models: [n], targets: [${A}] }, { id: n, targets: [${B}] }]`,
      ['model m: aliases [] → ["x"]', 'model m: fallback_models [] → ["n"]'],
      ['a', 'b'],
    ],
  ])('a target %s', (_, running, wanted, changed, kept) => {
    const made = plan(running, wanted);
    expect(made.changed).toEqual(changed);
    expect([...made.kept]).toEqual(kept);
  });

  it('shows old and new values of settings, but no secrets', () => {
    const { changed, config } = plan(
      'auth: { api_keys: [first-secret] }\ngeneration: { max_tokens: 10 }',
      'auth: { api_keys: [first-secret, second-secret], admin_keys: [third-secret] }\ngeneration: { max_tokens: 20 }',
    );
    expect(changed).toEqual(['auth.api_keys', 'auth.admin_keys', 'generation.max_tokens: 10 → 20']);
    expect(config.auth.api_keys.map(({ key }) => key)).toEqual(['first-secret', 'second-secret']);
  });

  it('leaves what needs a restart as it is, and names it', () => {
    const { changed, needsRestart, config } = plan(
      'server: { port: 8000 }\nlogging: { level: info }',
      'server: { port: 9000, heartbeat_seconds: 3 }\nlogging: { level: debug }',
    );
    expect(needsRestart).toEqual(['server.port', 'logging.level']);
    expect(changed).toEqual(['server.heartbeat_seconds: 15 → 3']);
    expect(config.server).toMatchObject({ port: 8000, heartbeat_seconds: 3 });
    expect(config.logging.level).toBe('info');
  });

  it('checks the rules with what stays: keys may not go while the server still listens for others', () => {
    const running = 'server: { host: 0.0.0.0 }\nauth: { api_keys: [first-secret] }';
    expect(() => plan(running, 'server: { host: 127.0.0.1 }')).toThrow(ConfigError);
    expect(() => plan(running, 'server: { host: 127.0.0.1 }')).toThrow(
      'Until a restart, server.host stays as it is, and then: server.host is "0.0.0.0", which others can reach, but there is no key: auth.api_keys is empty',
    );
    expect(plan(running, 'server: { host: 127.0.0.1 }', true).changed).toContain('auth.api_keys');
  });

  it('still limits the rate of an open server that others reach, until it no longer listens for them', () => {
    const file = (host: string) => `server: { host: ${host} }\nauth: { allow_open: true }`;
    const { config, changed } = plan(file('0.0.0.0'), file('127.0.0.1'));
    expect([config.server.host, config.rate_limit.enabled, changed]).toEqual(['0.0.0.0', true, []]);
  });

  it('does not leave a server open to others', () => {
    const running = 'server: { host: 0.0.0.0 }\nauth: { api_keys: [first-secret] }';
    expect(() => plan(running, 'server: { host: 0.0.0.0 }')).toThrow(
      'server.host is "0.0.0.0", which others can reach, but there is no key',
    );
  });
});

describe('what is in force after reloads, for a process that starts later', () => {
  const STARTED = 'server: { port: 8100, heartbeat_seconds: 9 }\naccess: { store: "sqlite:keys.db" }';

  it('is what those have that saw all of them', () => {
    const first = 'server: { port: 9000 }\nadmin: { port: 9001 }\ngeneration: { max_tokens: 7 }';
    const last = `server: { port: 9002, heartbeat_seconds: 3 }\n${withTargets(A, B)}`;
    const stored = { storeHeldKeys: false, hasAdmin: false };
    const afterFirst = planReload(load(STARTED), load(first), stored).config;
    const afterLast = planReload(afterFirst, load(last), stored).config;
    const { config } = reloadedSince(loaded(STARTED), loaded(last));
    expect(config).toEqual(afterLast);
    expect(config.server).toMatchObject({ port: 8100, heartbeat_seconds: 3 });
    expect(config.access.store).toBe('sqlite:keys.db');
    expect(config.models[0]?.targets.map(({ name }) => name)).toEqual(['a', 'b']);
  });

  it('comes from where it came: a setting that stays is still one of the start', () => {
    const { sources } = reloadedSince(
      loaded(STARTED),
      loaded('admin: { port: 1 }\nscheduler: { max_queue: 2 }'),
    );
    expect(sources).toEqual({
      'server.port': 'file',
      'access.store': 'file',
      'scheduler.max_queue': 'file',
    });
  });
});
