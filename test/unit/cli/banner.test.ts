import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { bannerText } from '../../../src/cli/banner.ts';
import type { Flags } from '../../../src/cli/read-config.ts';
import { storeFlagsOf } from '../../../src/cli/store-flags.ts';

const facts = {
  version: '0.1.0',
  address: 'http://127.0.0.1:8000',
  model: { id: 'smollm2', abilities: ['generate'] as const },
  otherModels: 0,
  needsKey: false,
  storeFlags: { text: '', secret: [] },
};

/** The banner of a server that was started with these flags, and has keys. */
const startedWith = (flags: Partial<Flags>) =>
  bannerText({
    ...facts,
    needsKey: true,
    storeFlags: storeFlagsOf({ config: undefined, values: {}, ...flags }),
  });

it('shows the page and its views, the terminal, the model and a first request, within 80 columns', () => {
  const text = bannerText(facts);
  expect(text).toBe(`
  llm-serve 0.1.0 is ready

  Chat      http://127.0.0.1:8000
  Live      http://127.0.0.1:8000/#/live
  API       http://127.0.0.1:8000/docs
  Terminal  npx llm-serve chat
  Model     smollm2

  curl http://127.0.0.1:8000/generate \\
    -H 'content-type: application/json' \\
    -d '{"prompt":"What is the capital of France?"}'

`);
  expect(Math.max(...text.split('\n').map(({ length }) => length))).toBeLessThanOrEqual(80);
});

it('names the other models, the key, and a request that the model can answer', () => {
  const text = bannerText({
    ...facts,
    model: { id: 'embedder', abilities: ['embed'] },
    otherModels: 2,
    needsKey: true,
  });
  expect(text).toContain('Model     embedder and 2 more (http://127.0.0.1:8000/v1/models)');
  expect(text).toContain("-H 'authorization: Bearer YOUR_KEY'");
  expect(text).toContain(`
  Keys      every request needs one. Make one:
            npx llm-serve keys create --name you
`);
  expect(text).toContain('/embed');
  expect(text).not.toMatch(/chat/i);
});

it('names what the store of the keys is found by, where flags named it', () => {
  expect(startedWith({})).toContain('npx llm-serve keys create --name you\n');
  expect(startedWith({ config: 'other.yaml' })).toContain(' --name you --config other.yaml\n');
  expect(startedWith({ values: { 'data.directory': './d', 'server.port': '9000' } })).toContain(
    ' --name you --data.directory ./d\n',
  );
  expect(startedWith({ config: 'a.yaml', values: { 'access.store': 'sqlite:keys.sqlite' } })).toContain(
    ' --name you --config a.yaml --access.store sqlite:keys.sqlite\n',
  );
  expect(bannerText(facts)).not.toContain('Keys');
});

it.each(["./it's mine; rm x", './a b', './$HOME `id` "x"', '~', 'a*b', ''])(
  'quotes for a shell what is not one plain word: %s',
  (folder) => {
    const line = startedWith({ values: { 'data.directory': folder } })
      .split('\n')
      .find((each) => each.includes('--name you'));
    const words = line?.slice(line.indexOf(' --data')) ?? '';
    const read = execFileSync('sh', ['-c', `printf '%s|' ${words}`], { encoding: 'utf8' });
    expect(read).toBe(`--data.directory|${folder}|`);
  },
);

it('does not show an address with a password, and says that the command needs it', () => {
  const text = startedWith({
    values: { 'access.store': 'postgres://user:planted@db/keys', 'data.directory': './d' },
  });
  expect(text).not.toMatch(/planted|postgres/);
  expect(text).toContain(`
            npx llm-serve keys create --name you --data.directory ./d
            with --access.store as the server has it: its value is not shown here
`);
  expect(startedWith({ values: { 'access.store': 'postgres://db/keys?password=planted' } })).not.toContain(
    'planted',
  );
});

it('names the server for the terminal where it is not the one that is asked anyway', () => {
  const text = bannerText({ ...facts, address: 'http://127.0.0.1:9000' });
  expect(text).toContain('npx llm-serve chat --server http://127.0.0.1:9000');
});
