import { expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { parseValkeyAddress } from '../../../src/stores/valkey/address.ts';
import { configureImage, type Document, readCompose, readManifest, readText } from './deployment-files.ts';

const overlay = readCompose('compose.valkey.yaml');
const manifests = parseAllDocuments(readText('deploy/valkey/kubernetes.yaml')).map(
  (document): Document => document.toJSON(),
);
const [valkey, service, policy] = manifests;
const pod = valkey.spec.template.spec;
const [container] = pod.containers;
const keys = JSON.stringify(['a-key-for-this-test']);

it('gives the API of the other compose files a store that is there', () => {
  for (const path of ['compose.yaml', 'compose.vllm.yaml']) {
    const { api } = readCompose(path).services;
    const config = configureImage({ ...api.environment, ...overlay.services.api.environment });
    const address = parseValkeyAddress(config.limits.store);
    expect(address).toMatchObject({ kind: 'server', endpoint: { host: 'valkey', port: 6379 } });
  }
  expect(Object.keys(overlay.services)).toEqual(['api', 'valkey']);
  expect(overlay.services.valkey.ports).toBeUndefined();
});

it('evicts no counter, and keeps them over a restart', () => {
  const commands = [overlay.services.valkey.command.join(' '), container.args.join(' ')];
  for (const command of commands) {
    expect(command).toContain('--maxmemory-policy noeviction');
    expect(command).toContain('--appendonly yes');
  }
  expect(overlay.services.valkey.volumes).toEqual(['valkey:/data']);
  expect(container.volumeMounts).toEqual([{ name: 'data', mountPath: '/data' }]);
});

it('is where the comment in its own file tells the API to look', () => {
  const [, store = ''] = /store: "(.*)"/.exec(readText('deploy/valkey/kubernetes.yaml')) ?? [];
  const file = {
    name: 'llm-serve.yaml',
    text: `limits: { store: "${store.replace('${VALKEY_PASSWORD}', 'pw')}" }`,
  };
  const config = configureImage({ LLM_SERVE_AUTH__API_KEYS: keys }, file);
  expect(parseValkeyAddress(config.limits.store)).toMatchObject({
    endpoint: { host: service.metadata.name, port: service.spec.ports[0].port },
    password: 'pw',
  });
});

it('is reached by the pods of the API alone', () => {
  const api = readManifest('deployment.yaml').spec.template.metadata.labels;
  expect(policy.spec.podSelector.matchLabels).toEqual(valkey.spec.selector.matchLabels);
  expect(service.spec.selector).toEqual(valkey.spec.selector.matchLabels);
  expect(policy.spec.ingress[0].from[0].podSelector.matchLabels).toEqual(api);
  expect(policy.spec.ingress[0].ports[0].port).toBe(container.ports[0].containerPort);
});

it('runs without privileges, on a read-only root', () => {
  expect(pod.securityContext).toMatchObject({ runAsNonRoot: true });
  expect(container.securityContext).toMatchObject({
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
  });
});
