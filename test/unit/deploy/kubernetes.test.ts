/** What the chart of deploy/helm renders, against what the server and the image expect: read from test/golden/kubernetes, so without Helm. */
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { Config } from '../../../src/config/config.ts';
import { parseValkeyAddress } from '../../../src/stores/valkey/address.ts';
import { renderedObjects, VALUE_SETS } from '../../support/helm.ts';
import { metricsIn } from '../../support/observability.ts';
import { configureImage, type Document, dockerfile, readText, shutdownSeconds } from './deployment-files.ts';

const metrics = new Set(
  [...readText('docs/reference/metrics.md').matchAll(/^\| `([^`]+)` \|/gm)].map(([, name]) => name),
);

/** What the Secret's keys would have. */
const SECRETS: Readonly<Record<string, string>> = {
  'api-keys': JSON.stringify(['a-key-for-this-test']),
  'admin-keys': JSON.stringify(['an-admin-key-for-this-test']),
  'limits-store': 'valkeys://:password@valkey.example.com:6379',
  'access-store': 'postgres://llm:password@postgres.example.com/llm',
  'valkey-password': 'letters',
};

class Rendered {
  readonly objects: readonly Document[];
  readonly deployment: Document;
  readonly pod: Document;
  readonly container: Document;
  readonly service: Document;

  constructor(set: string) {
    this.objects = renderedObjects(set);
    this.deployment = this.find('Deployment', 'llm-serve');
    this.pod = this.deployment.spec.template.spec;
    this.container = this.pod.containers[0];
    this.service = this.find('Service', 'llm-serve');
  }

  find(kind: string, name: string): Document {
    return this.objects.find((object) => object.kind === kind && object.metadata.name === name);
  }

  all(kind: string): readonly Document[] {
    return this.objects.filter((object) => object.kind === kind);
  }

  /** As the kubelet sets it: `$(NAME)` is a variable before. */
  environment(): Record<string, string> {
    const environment: Record<string, string> = {};
    for (const { name, value, valueFrom } of this.container.env) {
      const text = value ?? SECRETS[valueFrom.secretKeyRef.key];
      environment[name] = String(text).replace(/\$\((\w+)\)/g, (_, other) => environment[other] ?? '');
    }
    return environment;
  }

  file(): { readonly name: string; readonly text: string } {
    const { configMap } = this.pod.volumes.find(({ name }: Document) => name === 'config');
    return {
      name: 'llm-serve.yaml',
      text: this.find('ConfigMap', configMap.name).data['llm-serve.yaml'],
    };
  }

  configuration(): Config {
    const { VALKEY_PASSWORD: _, ...environment } = this.environment();
    return configureImage(environment, this.file());
  }

  /** The pod templates' labels by what makes them. */
  podLabels(): readonly Record<string, string>[] {
    const makers = this.objects.filter(({ kind }) => kind === 'Deployment' || kind === 'StatefulSet');
    return makers.map(({ spec }) => spec.template.metadata.labels);
  }
}

function selects(
  selector: Readonly<Record<string, string>>,
  labels: Readonly<Record<string, string>>,
): boolean {
  return Object.entries(selector).every(([name, value]) => labels[name] === value);
}

describe.each(VALUE_SETS)('with the values of %s', (set) => {
  const rendered = new Rendered(set);
  const { deployment, pod, container, service } = rendered;

  it('gives the server a configuration that it accepts', () => {
    const config = rendered.configuration();
    expect(config.models.map(({ id }) => id)).toContain(config.default_model);
  });

  it('does not start without what it was given as keys', () => {
    const {
      LLM_SERVE_AUTH__API_KEYS: _,
      LLM_SERVE_AUTH__ALLOW_OPEN: __,
      ...without
    } = rendered.environment();
    delete without.VALKEY_PASSWORD;
    expect(() => configureImage(without, rendered.file())).toThrow(/api_keys/);
  });

  it('sets nothing in the file that the image’s environment overrides', () => {
    const { server, cache, data } = parse(rendered.file().text);
    for (const key of ['host', 'port']) expect(server).not.toHaveProperty(key);
    expect([cache, data]).toEqual([undefined, undefined]);
  });

  it('selects the server’s own pods, and only them, by every selector', () => {
    const own = deployment.spec.template.metadata.labels;
    const others = rendered.podLabels().filter((labels) => labels !== own);
    const budgets = rendered.all('PodDisruptionBudget').map(({ spec }) => spec.selector.matchLabels);
    const selectors = [
      deployment.spec.selector.matchLabels,
      service.spec.selector,
      rendered.find('NetworkPolicy', 'llm-serve')?.spec.podSelector.matchLabels,
      ...budgets,
      ...(pod.topologySpreadConstraints ?? []).map(
        ({ labelSelector }: Document) => labelSelector.matchLabels,
      ),
    ].filter((selector) => selector !== undefined);
    expect(selectors.length).toBeGreaterThan(1);
    for (const selector of selectors) {
      expect(selects(selector, own)).toBe(true);
      for (const labels of others) expect(selects(selector, labels)).toBe(false);
    }
    for (const { spec } of rendered.all('ServiceMonitor'))
      expect(selects(spec.selector.matchLabels, service.metadata.labels)).toBe(true);
  });

  it('connects ports, volumes, accounts and claims by names that exist', () => {
    const portNames = container.ports.map(({ name }: Document) => name);
    expect(portNames).toContain(service.spec.ports[0].targetPort);
    const volumeNames = pod.volumes.map(({ name }: Document) => name);
    for (const { name } of container.volumeMounts) expect(volumeNames).toContain(name);
    const claims = pod.volumes.flatMap(
      ({ persistentVolumeClaim: claim }: Document) => claim?.claimName ?? [],
    );
    expect(claims).toEqual(rendered.all('PersistentVolumeClaim').map(({ metadata }) => metadata.name));
    expect(rendered.all('ServiceAccount').map(({ metadata }) => metadata.name)).toEqual([
      pod.serviceAccountName,
    ]);
    const scaled = [...rendered.all('HorizontalPodAutoscaler'), ...rendered.all('ScaledObject')];
    for (const { spec } of scaled) expect(spec.scaleTargetRef.name).toBe(deployment.metadata.name);
    expect(deployment.spec.replicas === undefined).toBe(scaled.length > 0);
  });

  it('makes every key of a Secret that something reads, where it makes the Secret', () => {
    const made = rendered.all('ExternalSecret')[0]?.spec.data.map(({ secretKey }: Document) => secretKey);
    if (made === undefined) return;
    const read = container.env.flatMap(({ valueFrom }: Document) => valueFrom?.secretKeyRef.key ?? []);
    const scraped = rendered
      .all('ServiceMonitor')
      .map(({ spec }) => spec.endpoints[0].authorization.credentials.key);
    expect([...made].sort()).toEqual([...new Set([...read, ...scraped])].sort());
  });

  it('mounts the file and the cache where the server looks for them', () => {
    const paths = container.volumeMounts.map(({ mountPath }: Document) => mountPath);
    const { cache, data, server } = rendered.configuration();
    expect(paths).toEqual(expect.arrayContaining([cache.directory, data.directory]));
    expect(container.args).toEqual(['serve', '--config', `${paths[0]}/llm-serve.yaml`, '--watch']);
    expect(container.volumeMounts[0], 'a folder, or it would never change').not.toHaveProperty('subPath');
    expect(container.ports[0].containerPort).toBe(server.port);
  });

  it('probes liveness and readiness by their own paths', () => {
    const probes = [container.startupProbe, container.livenessProbe, container.readinessProbe];
    expect(probes.map(({ httpGet }) => httpGet.path)).toEqual(['/health', '/health', '/ready']);
    for (const { httpGet } of probes) expect(httpGet.port).toBe('http');
  });

  it('notices a draining pod before requests are refused, and leaves it the time that its shutdown may take', () => {
    const config = rendered.configuration();
    const { periodSeconds, failureThreshold } = container.readinessProbe;
    expect(periodSeconds * failureThreshold).toBeLessThan(config.server.shutdown_delay_seconds);
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(shutdownSeconds(config));
  });

  it('runs every pod without privileges, and the server as the image’s user', () => {
    const pods = [
      ...[...rendered.all('Deployment'), ...rendered.all('StatefulSet')].map(
        ({ spec }) => spec.template.spec,
      ),
      ...rendered.all('Pod').map(({ spec }) => spec),
    ];
    for (const { securityContext, automountServiceAccountToken, enableServiceLinks, containers } of pods) {
      expect([automountServiceAccountToken, enableServiceLinks]).toEqual([false, false]);
      expect(securityContext).toMatchObject({
        runAsNonRoot: true,
        seccompProfile: { type: 'RuntimeDefault' },
      });
      for (const each of containers)
        expect(each.securityContext).toEqual({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        });
    }
    expect(dockerfile).toContain(`USER ${pod.securityContext.runAsUser}:${pod.securityContext.runAsGroup}`);
  });

  it('asks only for metrics that exist, and scrapes with a key where one is needed', () => {
    const pods = rendered.all('HorizontalPodAutoscaler').flatMap(({ spec }) => spec.metrics);
    const queries = rendered.all('ScaledObject').flatMap(({ spec }) => spec.triggers);
    const asked = [
      ...pods.map(({ pods: { metric } }) => metric.name),
      ...queries.flatMap(({ metadata }) => metricsIn(metadata.query)),
    ];
    expect(asked.length).toBe(pods.length + queries.length);
    expect(asked.filter((name) => !metrics.has(name))).toEqual([]);
    for (const { spec } of rendered.all('ServiceMonitor')) {
      const [{ path, port, authorization }] = spec.endpoints;
      expect([path, port]).toEqual(['/metrics', service.spec.ports[0].name]);
      const isOpen = rendered.configuration().metrics.open;
      expect(authorization === undefined).toBe(isOpen);
    }
  });
});

describe('the Valkey of the chart', () => {
  const rendered = new Rendered('in-front-of-vllm');
  const valkey = rendered.find('StatefulSet', 'llm-serve-valkey');
  const service = rendered.find('Service', 'llm-serve-valkey');
  const policy = rendered.find('NetworkPolicy', 'llm-serve-valkey');
  const [container] = valkey.spec.template.spec.containers;

  it('evicts no counter, and keeps them over a restart', () => {
    expect(container.args.join(' ')).toContain('--maxmemory-policy noeviction');
    expect(container.args.join(' ')).toContain('--appendonly yes');
    expect(container.volumeMounts).toEqual([{ name: 'data', mountPath: '/data' }]);
  });

  it('is where the server looks for it, with the password that it has', () => {
    const { limits, leases } = rendered.configuration();
    for (const { store } of [limits, leases])
      expect(parseValkeyAddress(store ?? '')).toMatchObject({
        endpoint: { host: service.metadata.name, port: service.spec.ports[0].port },
        password: SECRETS['valkey-password'],
      });
    const [{ valueFrom }] = container.env;
    expect(valueFrom.secretKeyRef.key).toBe('valkey-password');
  });

  it('is reached by the server’s pods alone, which reach it through their own policy', () => {
    const server = rendered.deployment.spec.template.metadata.labels;
    const own = valkey.spec.template.metadata.labels;
    expect(selects(policy.spec.podSelector.matchLabels, own)).toBe(true);
    expect(selects(service.spec.selector, own)).toBe(true);
    expect(policy.spec.ingress).toHaveLength(1);
    expect(selects(policy.spec.ingress[0].from[0].podSelector.matchLabels, server)).toBe(true);
    expect(policy.spec.ingress[0].ports[0].port).toBe(container.ports[0].containerPort);
    const egress = rendered.find('NetworkPolicy', 'llm-serve').spec.egress;
    const reached = egress.flatMap(({ to = [] }: Document) => to);
    expect(reached.some(({ podSelector }: Document) => selects(podSelector.matchLabels, own))).toBe(true);
  });
});
