import { describe, expect, it } from 'vitest';
import type { TargetStatus } from '../../../src/core/backend.ts';
import { ServingError } from '../../../src/core/errors.ts';
import { modelDigests, readinessOf, servedModel, tokenizerOf } from '../../../src/serving/targets.ts';
import { FakeBackend, fakeTarget } from '../../support/fake-backend.ts';

describe('served model', () => {
  const READY: TargetStatus = { state: 'ready', loaded: true };

  function targetWith(status: TargetStatus, { tells = false } = {}) {
    const tokenizer = { encode: async () => [1], decode: async () => 'a' };
    const backend = Object.assign(new FakeBackend(), tells ? { tokenizer } : {});
    return { tokenizer, target: fakeTarget(backend, { status }) };
  }

  it('a model has the largest context, and all abilities, of its targets', () => {
    const targets = [
      targetWith({ ...READY, contextSize: 100, abilities: ['generate'] }).target,
      targetWith({ state: 'failed', loaded: false, contextSize: 200, abilities: ['generate', 'tools'] })
        .target,
      targetWith({ state: 'unreachable', loaded: false }).target,
    ];
    const aliases = new Map([
      ['gpt-4o', 'm'],
      ['other', 'n'],
    ]);
    expect(servedModel('m', targets, { aliases, digest: 'd' })).toMatchObject({
      id: 'm',
      aliases: ['gpt-4o'],
      contextSize: 200,
      ready: true,
      abilities: ['generate', 'tools'],
      targets: [{ backend: 'fake', model: 'm', state: 'ready', loaded: true }, {}, {}],
    });
    expect(servedModel('m', targets.slice(1), { aliases, digest: 'd' }).ready).toBe(false);
  });

  it('its details are those of the first target that tells any', () => {
    const details = { family: 'llama', sizeBytes: 5 };
    const targets = [targetWith(READY), targetWith({ ...READY, details })].map(({ target }) => target);
    expect(servedModel('m', targets, { aliases: new Map(), digest: 'd' }).details).toEqual(details);
  });

  describe('digests', () => {
    const FILE = 'ab'.repeat(32);
    const digestsOf = (...models: readonly (readonly [string, TargetStatus])[]) => [
      ...modelDigests(new Map(models.map(([id, status]) => [id, [targetWith(status).target]]))).values(),
    ];
    const known = { ...READY, details: { digest: FILE } };

    it('are the file’s where it is known, else of the configuration: the same with every start', () => {
      expect(digestsOf(['a', known])).toEqual([FILE]);
      const [one, two] = digestsOf(['a', READY], ['b', READY]);
      expect(one).toMatch(/^[0-9a-f]{64}$/);
      expect(one).not.toBe(two);
      expect(digestsOf(['a', { state: 'unreachable', loaded: false }])).toEqual([one]);
    });

    it('are no two models’, also where both are served from one file', () => {
      const [one, two] = digestsOf(['a', known], ['b', known]);
      expect(one).toBe(FILE);
      expect(two).not.toBe(FILE);
    });
  });

  it('its tokens are told by a target that tells them and is up', () => {
    const down = targetWith({ state: 'failed', loaded: false }, { tells: true });
    const silent = targetWith(READY);
    const telling = targetWith(READY, { tells: true });
    expect(tokenizerOf('m', [down.target, silent.target, telling.target])).toBe(telling.tokenizer);
  });

  it.each([
    ['unsupported_parameter', [targetWith(READY)]],
    [
      'no_backend_available',
      [targetWith(READY), targetWith({ state: 'failed', loaded: false }, { tells: true })],
    ],
    ['model_loading', [targetWith({ state: 'loading', loaded: false }, { tells: true })]],
  ] as const)('where none is, that is said: %s', (code, targets) => {
    const ask = () =>
      tokenizerOf(
        'm',
        targets.map(({ target }) => target),
      );
    expect(ask).toThrow(ServingError);
    expect(ask).toThrow(expect.objectContaining({ code }));
  });
});

describe('readiness', () => {
  function reasonOf(...statuses: TargetStatus[]): string {
    const targets = statuses.map((status) => fakeTarget(new FakeBackend(), { status }));
    const readiness = readinessOf({ models: new Map([['m', targets]]), defaultModel: 'm', draining: false });
    return readiness.reason ?? readiness.status;
  }

  const status = (state: TargetStatus['state'], more: Partial<TargetStatus> = {}): TargetStatus => ({
    state,
    loaded: false,
    ...more,
  });

  describe('readiness', () => {
    it.each([
      ['ready', [status('ready', { loaded: true })]],
      ['ready', [status('unreachable'), status('ready')]],
      ['ready', [status('unloaded', { mayUnload: true })]],
      ['model_loading', [status('loading')]],
      ['model_loading', [status('unloaded')]],
      ['model_loading', [status('failed'), status('loading')]],
      ['backend_failed', [status('failed')]],
      ['model_not_found', [status('not_found')]],
      ['backend_unreachable', [status('unreachable')]],
    ] as const)('is %s for %j', (expected, statuses) => {
      expect(reasonOf(...statuses)).toBe(expected);
    });

    it('is draining whatever the targets say', () => {
      const targets = [fakeTarget(new FakeBackend())];
      expect(
        readinessOf({ models: new Map([['m', targets]]), defaultModel: 'm', draining: true }),
      ).toMatchObject({
        status: 'not_ready',
        reason: 'draining',
        models: [{ id: 'm', status: 'ready' }],
      });
    });
  });
});
