/** The files for Ray Serve: what they say to each other, and to this server. A real Ray deploys the first in test/real/ray.long.ts. */
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { loadConfig } from '../../../src/config/load.ts';
import { type Document, readText } from './deployment-files.ts';

const serveFile = (name: string): Document => parse(readText(`deploy/ray/${name}`));

const CPU: Document = serveFile('serve-cpu.yaml').applications[0];
const GPU: Document = serveFile('serve-llm.yaml').applications[0].args.llm_configs[0];
const REPLICAS: readonly (readonly [string, Document])[] = [
  ['serve-cpu.yaml', CPU.deployments[1]],
  ['serve-llm.yaml', GPU.deployment_config],
];

const front = () => {
  const text = readText('deploy/ray/llm-serve.yaml');
  return loadConfig({ flags: {}, environment: {}, file: { name: 'llm-serve.yaml', text } });
};

describe.each(REPLICAS)('%s', (_, { max_ongoing_requests, autoscaling_config: scaling }) => {
  it('wants another replica before all of them are full', () => {
    expect(scaling.target_ongoing_requests).toBeLessThanOrEqual(max_ongoing_requests / 2);
    expect(scaling.max_replicas).toBeGreaterThan(scaling.min_replicas);
  });

  it('has a replica for each node that is a target, so that a node may go', () => {
    expect(scaling.min_replicas).toBeGreaterThanOrEqual(2);
  });
});

it('serve-cpu.yaml has a proxy and an ingress on each node', () => {
  expect(serveFile('serve-cpu.yaml').proxy_location).toBe('EveryNode');
  expect(CPU.deployments[0]).toMatchObject({
    name: 'OpenAiIngress',
    num_replicas: 2,
    max_replicas_per_node: 1,
  });
  expect(CPU.import_path).toBe('openai_ingress:app');
  expect(readText('deploy/ray/openai_ingress.py')).toContain('def app(');
});

it('serve-cpu.yaml keeps its servers away from the keys and the usage of the one in front', () => {
  expect(CPU.args.command.join(' ')).toBe('llm-serve serve --access.store memory:');
});

it('serve-llm.yaml lets no more requests into vLLM than it runs at a time', () => {
  expect(GPU.deployment_config.max_ongoing_requests).toBe(GPU.engine_kwargs.max_num_seqs);
});

it('llm-serve.yaml has a target for each node, at the port and with the model of serve-llm.yaml', () => {
  const { config, warnings } = front();
  expect(warnings).toEqual([]);
  const { port } = serveFile('serve-llm.yaml').http_options;
  expect(port).not.toBe(config.server.port);
  const targets = config.models.flatMap(({ targets }) => targets.map(({ values }) => values));
  expect(targets).toHaveLength(2);
  for (const target of targets)
    expect(target).toMatchObject({
      flavor: 'vllm',
      model: GPU.model_loading_config.model_id,
      slots: 'auto',
      url: expect.stringMatching(new RegExp(`:${port}$`)) as string,
    });
});

it('both files have the same port', () => {
  expect(serveFile('serve-cpu.yaml').http_options.port).toBe(serveFile('serve-llm.yaml').http_options.port);
});
