import { readdirSync } from 'node:fs';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import {
  configureImage,
  type Document,
  dockerfile,
  readManifest,
  root,
  shutdownSeconds,
} from './deployment-files.ts';

const configMap = readManifest('configmap.yaml');
const deployment = readManifest('deployment.yaml');
const service = readManifest('service.yaml');
const secret = readManifest('secret.yaml.example');
const pod = deployment.spec.template.spec;
const [container] = pod.containers;
const file = { name: 'llm-serve.yaml', text: configMap.data['llm-serve.yaml'] };
const keys = JSON.stringify(['a-key-for-this-test']);

it('has the right kind and API version in every file', () => {
  const manifests = [configMap, deployment, service, secret];
  expect(manifests.map(({ apiVersion, kind }) => `${apiVersion} ${kind}`)).toEqual([
    'v1 ConfigMap',
    'apps/v1 Deployment',
    'v1 Service',
    'v1 Secret',
  ]);
});

it('applies no secret with the folder', () => {
  const applied = readdirSync(`${root}/deploy/kubernetes`).filter((name) => name.endsWith('.yaml'));
  expect(applied.sort()).toEqual(['configmap.yaml', 'deployment.yaml', 'service.yaml']);
});

it('gives the server a configuration that it accepts', () => {
  const config = configureImage({ LLM_SERVE_AUTH__API_KEYS: keys }, file);
  expect(config.models.map(({ id }) => id)).toContain(config.default_model);
});

it('does not start without keys, nor with the example’s', () => {
  expect(() => configureImage({}, file)).toThrow(/api_keys/);
  expect(() => configureImage({ LLM_SERVE_AUTH__API_KEYS: secret.stringData['api-keys'] }, file)).toThrow(
    /api_keys/,
  );
});

it('sets nothing in the file that the image’s environment overrides', () => {
  const { server, cache } = parse(file.text);
  for (const key of ['host', 'port']) expect(server).not.toHaveProperty(key);
  expect(cache).toBeUndefined();
});

it('selects its own pods', () => {
  const { labels } = deployment.spec.template.metadata;
  expect(labels).toMatchObject(deployment.spec.selector.matchLabels);
  expect(labels).toMatchObject(service.spec.selector);
});

it('connects ports, volumes, config and secret by names that exist', () => {
  const portNames = container.ports.map(({ name }: Document) => name);
  expect(portNames).toContain(service.spec.ports[0].targetPort);
  const volumeNames = pod.volumes.map(({ name }: Document) => name);
  for (const { name } of container.volumeMounts) expect(volumeNames).toContain(name);
  expect(pod.volumes.find(({ name }: Document) => name === 'config').configMap.name).toBe(
    configMap.metadata.name,
  );
  const reference = container.env.find(({ name }: Document) => name === 'LLM_SERVE_AUTH__API_KEYS').valueFrom
    .secretKeyRef;
  expect(reference.name).toBe(secret.metadata.name);
  expect(Object.keys(secret.stringData)).toContain(reference.key);
});

it('mounts the file and the cache where the server looks for them', () => {
  const paths = container.volumeMounts.map(({ mountPath }: Document) => mountPath);
  const { cache, server } = configureImage({ LLM_SERVE_AUTH__API_KEYS: keys }, file);
  expect(paths).toContain(cache.directory);
  expect(container.args).toEqual(['serve', '--config', `${paths[0]}/llm-serve.yaml`, '--watch']);
  expect(container.ports[0].containerPort).toBe(server.port);
});

it('probes liveness and readiness by their own paths', () => {
  const { startupProbe, livenessProbe, readinessProbe } = container;
  const paths = [startupProbe, livenessProbe, readinessProbe].map(({ httpGet }) => httpGet.path);
  expect(paths).toEqual(['/health', '/health', '/ready']);
  for (const { httpGet } of [startupProbe, livenessProbe, readinessProbe]) expect(httpGet.port).toBe('http');
});

it('notices a draining pod before requests are refused', () => {
  const { periodSeconds, failureThreshold } = container.readinessProbe;
  const { server } = configureImage({ LLM_SERVE_AUTH__API_KEYS: keys }, file);
  expect(periodSeconds * failureThreshold).toBeLessThan(server.shutdown_delay_seconds);
});

it('leaves a pod the time that its shutdown may take', () => {
  const config = configureImage({ LLM_SERVE_AUTH__API_KEYS: keys }, file);
  expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(shutdownSeconds(config));
});

it('runs without privileges, as the image’s user, on a read-only root', () => {
  expect(pod.enableServiceLinks).toBe(false);
  expect(pod.securityContext).toMatchObject({ runAsNonRoot: true });
  expect(dockerfile).toContain(`USER ${pod.securityContext.runAsUser}:${pod.securityContext.runAsGroup}`);
  expect(container.securityContext).toEqual({
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] },
  });
});
