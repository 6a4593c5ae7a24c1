import { describe, expect, it } from 'vitest';
import type { TargetStatus } from '../../../src/core/backend.ts';
import { ServingError } from '../../../src/core/errors.ts';
import { type Target, Targets } from '../../../src/serving/targets.ts';
import { FakeBackend, fakeTarget } from '../../support/fake-backend.ts';

const READY: TargetStatus = { state: 'ready', loaded: true };
const ALIASES = new Map([
  ['gpt-4o', 'm'],
  ['other', 'n'],
]);

function targetsOf(...targets: readonly Target[]) {
  return new Targets({ targets, defaultModel: 'm', aliases: ALIASES });
}

function targetWith(status: TargetStatus, { model = 'm', tokenizes = false } = {}) {
  const tokenizer = { encode: async () => [1], decode: async () => 'a' };
  const backend = Object.assign(new FakeBackend(), tokenizes ? { tokenizer } : {});
  return { tokenizer, target: fakeTarget(backend, { model, status }) };
}

describe('a model is found', () => {
  const targets = targetsOf(targetWith({ ...READY, contextSize: 100 }).target);

  it.each(['m', 'gpt-4o', 'm:latest', 'gpt-4o:latest', undefined])('by the name %s', (name) => {
    expect(targets.requireModel(name)).toEqual({ id: 'm', contextSize: 100 });
  });

  it('in another case only where the caller allows it', () => {
    expect(targets.requireModel('GPT-4o', { anyCase: true }).id).toBe('m');
    expect(() => targets.requireModel('GPT-4o')).toThrow(
      expect.objectContaining({ code: 'model_not_found', param: 'model' }),
    );
  });

  it('by no other name, of which an error shows the beginning', () => {
    expect(() => targets.requireModel('x'.repeat(1000))).toThrow(
      `The model "${'x'.repeat(200)}" does not exist. Available models: m.`,
    );
  });
});

describe('a key that may use some models', () => {
  const targets = targetsOf(
    targetWith(READY).target,
    targetWith(READY, { model: 'n' }).target,
    targetWith(READY, { model: 'p' }).target,
  );

  it.each<[readonly string[], readonly string[]]>([
    [['n'], ['n']],
    [
      ['gpt-4o', 'p'],
      ['m', 'p'],
    ],
    [['gone'], []],
  ])('named by their ids or aliases: %j may use %j', (allowed, ids) => {
    expect(targets.list(allowed).map(({ id }) => id)).toEqual(ids);
  });

  it('asks the others by no name, and learns which it may use', () => {
    for (const name of ['m', 'gpt-4o', 'm:latest', undefined])
      expect(() => targets.requireModel(name, {}, ['n', 'p'])).toThrow(
        expect.objectContaining({
          code: 'model_not_allowed',
          param: 'model',
          message: 'This API key may not use the model "m". It may use: n, p.',
        }),
      );
    expect(() => targets.requireModel('m', {}, ['gone'])).toThrow(
      'It may use: none of the models of this server.',
    );
    expect(targets.requireModel('other', {}, ['n']).id).toBe('n');
  });

  it('does not learn the names of the others', () => {
    expect(() => targets.requireModel('x', {}, ['n'])).toThrow(
      'The model "x" does not exist. Available models: n.',
    );
  });
});

describe('a listed model', () => {
  it('has the largest context, and all abilities, of its targets', () => {
    const targets = [
      targetWith({ ...READY, contextSize: 100, abilities: ['generate'] }).target,
      targetWith({ state: 'failed', loaded: false, contextSize: 200, abilities: ['generate', 'tools'] })
        .target,
      targetWith({ state: 'unreachable', loaded: false }).target,
    ];
    expect(targetsOf(...targets).list()).toMatchObject([
      {
        id: 'm',
        aliases: ['gpt-4o'],
        contextSize: 200,
        ready: true,
        abilities: ['generate', 'tools'],
        targets: [{ backend: 'fake', model: 'm', state: 'ready', loaded: true }, {}, {}],
      },
    ]);
    expect(targetsOf(...targets.slice(1)).list()[0]?.ready).toBe(false);
  });

  it('has the details of the first target that reports any', () => {
    const details = { family: 'llama', sizeBytes: 5 };
    const targets = [targetWith(READY), targetWith({ ...READY, details })].map(({ target }) => target);
    expect(targetsOf(...targets).list()[0]?.details).toEqual(details);
  });
});

describe('the digests of listed models', () => {
  const FILE = 'ab'.repeat(32);
  const known = { ...READY, details: { digest: FILE } };
  const digestsOf = (...models: readonly (readonly [string, TargetStatus])[]) =>
    targetsOf(...models.map(([model, status]) => targetWith(status, { model }).target))
      .list()
      .map(({ digest }) => digest);

  it('are the file’s where it is known, else of the configuration: the same with every start', () => {
    expect(digestsOf(['a', known])).toEqual([FILE]);
    const [one, two] = digestsOf(['a', READY], ['b', READY]);
    expect(one).toMatch(/^[0-9a-f]{64}$/);
    expect(one).not.toBe(two);
    expect(digestsOf(['a', { state: 'unreachable', loaded: false }])).toEqual([one]);
  });

  it('differ also where two models are served from one file', () => {
    const [one, two] = digestsOf(['a', known], ['b', known]);
    expect(one).toBe(FILE);
    expect(two).not.toBe(FILE);
  });
});

describe('a model’s tokenizer', () => {
  it('is that of a target that has one and is up', () => {
    const down = targetWith({ state: 'failed', loaded: false }, { tokenizes: true });
    const without = targetWith(READY);
    const up = targetWith(READY, { tokenizes: true });
    expect(targetsOf(down.target, without.target, up.target).tokenizerOf('m')).toBe(up.tokenizer);
  });

  it.each([
    ['unsupported_parameter', [targetWith(READY)]],
    [
      'no_backend_available',
      [targetWith(READY), targetWith({ state: 'failed', loaded: false }, { tokenizes: true })],
    ],
    ['model_loading', [targetWith({ state: 'loading', loaded: false }, { tokenizes: true })]],
  ] as const)('is the error %s where no target is up that has one', (code, targets) => {
    const ask = () => targetsOf(...targets.map(({ target }) => target)).tokenizerOf('m');
    expect(ask).toThrow(ServingError);
    expect(ask).toThrow(expect.objectContaining({ code }));
  });
});

describe('readiness', () => {
  it('of a default model whose fallback model answers is ready, and names that one', () => {
    const down = targetWith({ state: 'unreachable', loaded: false }).target;
    const targets = targetsOf(down, targetWith(READY, { model: 'b' }).target);
    const { status, models } = targets.readiness({ draining: false, fallbacksOf: () => ['a', 'b'] });
    expect(status).toBe('ready');
    expect(models[0]).toMatchObject({ id: 'm', status: 'not_ready', fallback: 'b' });
    expect(targets.readiness({ draining: false }).status).toBe('not_ready');
  });

  const status = (state: TargetStatus['state'], more: Partial<TargetStatus> = {}): TargetStatus => ({
    state,
    loaded: false,
    ...more,
  });

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
    const targets = statuses.map((each) => targetWith(each).target);
    const readiness = targetsOf(...targets).readiness({ draining: false });
    expect(readiness.reason ?? readiness.status).toBe(expected);
  });

  it('is lease_store_away where none of the slots of its targets may be given, whatever fallback there is', () => {
    const leased = (name: string) => Object.assign(targetWith(READY).target, { sharedAs: name });
    const other = targetWith(READY, { model: 'b' }).target;
    const readiness = (...targets: readonly Target[]) => {
      const withoutShare = new Set(['gpu-1']);
      const { status, reason } = targetsOf(...targets, other).readiness({
        draining: false,
        fallbacksOf: () => ['b'],
        withoutShare,
      });
      return reason ?? status;
    };
    expect(readiness(leased('gpu-1'))).toBe('lease_store_away');
    expect(readiness(leased('gpu-1'), leased('gpu-2'))).toBe('ready');
    expect(readiness(leased('gpu-1'), targetWith(READY).target)).toBe('ready');
    const resort = () => Object.assign(targetWith(READY).target, { role: 'fallback' as const });
    expect(readiness(leased('gpu-1'), resort()), 'which gets nothing beside the other').toBe(
      'lease_store_away',
    );
    expect(readiness(resort())).toBe('ready');
  });

  it('is not saved by a fallback model of whose slots none may be given', () => {
    const down = targetWith(status('unreachable')).target;
    const other = Object.assign(targetWith(READY, { model: 'b' }).target, { sharedAs: 'gpu-1' });
    const readiness = (withoutShare: ReadonlySet<string>) =>
      targetsOf(down, other).readiness({ draining: false, fallbacksOf: () => ['b'], withoutShare }).status;
    expect(readiness(new Set())).toBe('ready');
    expect(readiness(new Set(['gpu-1']))).toBe('not_ready');
  });

  it('is draining whatever the state of the targets', () => {
    expect(targetsOf(targetWith(READY).target).readiness({ draining: true })).toMatchObject({
      status: 'not_ready',
      reason: 'draining',
      models: [{ id: 'm', status: 'ready' }],
    });
  });
});
