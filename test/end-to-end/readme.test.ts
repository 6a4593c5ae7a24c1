/** What README.md and docs/ print for people to copy works: requests are answered, configurations load, models exist. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { MODELS } from '../../src/models/catalog.ts';
import { parseReference } from '../../src/models/names.ts';
import { ask } from '../support/http-client.ts';
import { scriptedFlags } from '../support/scripted-server.ts';
import { endingAfterAll, type RunningServer, startServer } from '../support/server.ts';

const PAGES = ['README.md', 'docs/native-api.md', 'docs/protocols.md', 'docs/backends.md', 'docs/models.md'];
const read = (page: string) => readFileSync(fileURLToPath(new URL(`../../${page}`, import.meta.url)), 'utf8');
const blocks = PAGES.flatMap((page) => [...read(page).matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)]).map(
  ([, language = '', text = '']) => ({ language, text }),
);
const ofLanguage = (language: string) =>
  blocks.filter((block) => block.language === language).map(({ text }) => text);

interface PrintedRequest {
  readonly path: string;
  readonly body: unknown;
}

/** `curl localhost:8000/PATH … -d 'BODY'`, over several lines where they end in a backslash. */
const curls: PrintedRequest[] = ofLanguage('sh')
  .flatMap((text) => text.replaceAll('\\\n', ' ').split('\n'))
  .map((line) => /^curl (?:-N )?localhost:8000(\/\S+)(?:.* -d '(.*)')?/.exec(line))
  .filter((match) => match !== null)
  .map(([, path = '', body]) => ({ path, body: body === undefined ? undefined : JSON.parse(body) }));

/** Bodies that are printed without their command: those of /generate. */
const bodies: PrintedRequest[] = ofLanguage('json')
  .filter((text) => /^\{"(prompt|messages)":/.test(text))
  .map((text) => ({ path: '/generate', body: JSON.parse(text) }));

/** It is there to be refused. */
const isRefusal = (body: unknown) => JSON.stringify(body)?.includes('"max_tokens":0') === true;

describe('the requests', () => {
  const endsWith = endingAfterAll();
  let server: RunningServer;
  beforeAll(async () => {
    server = await startServer({
      flags: scriptedFlags(
        { id: 'smollm2', target: { tool_calls: [{ name: 'get_weather', arguments: { city: 'Paris' } }] } },
        { id: 'embedder' },
      ),
      endsWith,
    });
  });

  test.each([...curls, ...bodies])('$path $body', async ({ path, body }) => {
    const answer = await ask(`${server.url}${path}`, body === undefined ? {} : { body });
    expect(answer.status, answer.text).toBe(isRefusal(body) ? 400 : 200);
  });

  test('are found: plain ones, a stream, one with tools, one with their results, an embedding', () => {
    const all = [...curls, ...bodies];
    const paths = all.map(({ path }) => path);
    for (const path of [
      '/generate',
      '/stream',
      '/embed',
      '/v1/chat/completions',
      '/health',
      '/ready',
      '/metrics',
    ])
      expect(paths).toContain(path);
    const texts = all.map(({ body }) => JSON.stringify(body) ?? '');
    expect(texts.filter((text) => text.includes('"tools"')).length).toBeGreaterThanOrEqual(2);
    expect(texts.filter((text) => text.includes('"role":"tool"'))).toHaveLength(1);
  });
});

describe('the configuration', () => {
  const environment = { VLLM_API_KEY: 'a-key-of-the-backend' };

  test.each(ofLanguage('yaml'))('loads: %s', (text) => {
    const { config } = loadConfig({ flags: {}, environment, file: { name: 'llm-serve.yaml', text } });
    for (const { definition, values } of config.models.flatMap(({ targets }) => targets))
      if (definition.embedded) expect(nameOf(values.model), 'a newcomer has no file').toBeDefined();
  });

  test('has a model that embeds, from the catalogue', () => {
    const embedding = MODELS.filter(({ abilities }) => abilities.includes('embeddings'));
    expect(ofLanguage('yaml').some((text) => embedding.some(({ name }) => text.includes(name)))).toBe(true);
  });
});

test('models that are named for the embedded engine are in the catalogue, or say where they come from', () => {
  const named = ofLanguage('sh')
    .flatMap((text) => text.split('\n'))
    .filter((line) => /^(npm start|npx llm-serve)\b/.test(line) && !line.includes('--backend'))
    .flatMap((line) => [...line.matchAll(/(?:--model|models show|models pull) (\S+)/g)])
    .map(([, name = '']) => name);
  expect(named.length).toBeGreaterThanOrEqual(3);
  for (const name of named) expect(() => parseReference(name), name).not.toThrow();
});

/** Of a model that can be fetched. */
function nameOf(model: string): string | undefined {
  return parseReference(model).kind === 'path' ? undefined : model;
}
