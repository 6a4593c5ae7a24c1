import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { parseAllDocuments, stringify } from 'yaml';
import {
  CHART,
  decode,
  goldenFile,
  helm,
  missingTools,
  render,
  VALUE_SETS,
  valuesFile,
} from '../../support/helm.ts';
import { RULES } from '../../support/observability.ts';
import { configureImage, type Document } from './deployment-files.ts';

const missing = missingTools();

/** In a test that needs them. */
function needTools(context: { skip(reason: string): void }): void {
  if (missing !== undefined) context.skip(missing);
}

/** What Helm makes of these values on top of the chart's own. */
function withValues(values: object, ...command: readonly string[]): ReturnType<typeof helm> {
  const folder = mkdtempSync(join(tmpdir(), 'llm-serve-values-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'values.yaml'), stringify(values));
  return helm(...command, 'llm-serve', CHART, '--values', join(folder, 'values.yaml'));
}

function renderedWith(values: object): readonly Document[] {
  const { isFine, text } = withValues(values, 'template');
  if (!isFine) throw new Error(text);
  return documentsOf(text);
}

function documentsOf(text: string): readonly Document[] {
  return parseAllDocuments(text)
    .map((document) => document.toJSON())
    .filter((object) => object !== null);
}

function renderedKind(kind: string, values: object): Document {
  return renderedWith(values).find((object) => object.kind === kind);
}

describe.each(VALUE_SETS)('with the values of %s', (set) => {
  it('passes helm lint, strictly', (context) => {
    needTools(context);
    const { isFine, text } = helm('lint', '--strict', CHART, '--values', valuesFile(set));
    expect(isFine, text).toBe(true);
    expect(text).not.toMatch(/\[(?:WARNING|ERROR)\]|funcMap fail/);
  });

  it('renders what test/golden/kubernetes has (UPDATE_GOLDEN=1 writes it)', (context) => {
    needTools(context);
    const rendered = render(set);
    if (process.env.UPDATE_GOLDEN === '1') writeFileSync(goldenFile(set), rendered);
    expect(rendered).toBe(readFileSync(goldenFile(set), 'utf8'));
  });

  it('renders objects that Kubernetes and the definitions of its custom resources know, field by field', (context) => {
    needTools(context);
    const objects = decode(readFileSync(goldenFile(set), 'utf8'));
    expect(objects.length).toBeGreaterThan(3);
    expect(objects.filter(({ problems }) => problems.length > 0)).toEqual([]);
  });
});

it('would notice a field, a type, a bound or a kind that is wrong', (context) => {
  needTools(context);
  const wrong = [
    { apiVersion: 'v1', kind: 'Service', metadata: { name: 'a' }, spec: { tipe: 'ClusterIP' } },
    { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'b' }, spec: { replicas: 'two' } },
    { apiVersion: 'keda.sh/v1alpha1', kind: 'ScaledObject', metadata: { name: 'c' }, spec: { trigers: [] } },
    {
      apiVersion: 'gateway.networking.k8s.io/v1',
      kind: 'HTTPRoute',
      metadata: { name: 'd' },
      spec: { rules: [{ timeouts: { request: '1 minute' } }] },
    },
    { apiVersion: 'example.com/v1', kind: 'Unknown', metadata: { name: 'e' } },
  ];
  const objects = decode(wrong.map((object) => stringify(object)).join('\n---\n'));
  expect(objects.map(({ name }) => name)).toEqual(['a', 'b', 'c', 'd', 'e']);
  for (const { name, problems } of objects) expect(problems, name).not.toEqual([]);
});

/** Every object that the chart can make at once. */
const EVERYTHING = {
  valkey: { enabled: true },
  modelCache: { persistent: true },
  autoscaling: { kind: 'hpa' },
  serviceMonitor: { enabled: true },
  networkPolicy: { enabled: true },
  ingress: { enabled: true, hosts: ['llm.example.com'] },
  httpRoute: { enabled: true, parentRefs: [{ name: 'public' }] },
};

const WITH_API_KEYS = { secret: { create: true, values: { 'api-keys': '["a-key-for-this-test"]' } } };

it.skipIf(missing !== undefined).each([
  [{ replica: 2 }, /replica/],
  [{ modelCache: { size: 'large' } }, /size/],
  [{ autoscaling: { kind: 'cron' } }, /autoscaling/],
  [{ probes: { readiness: { periodSeconds: 5 } } }, /shutdown_delay_seconds is 5/],
  [{ config: { server: { shutdown_delay_seconds: 0 } } }, /shutdown_delay_seconds is 0/],
  [{ replicas: 2, data: { persistent: true } }, /SQLite file, which one replica can use/],
  [{ replicas: 2, data: { existingClaim: 'own' } }, /SQLite file, which one replica can use/],
  [{ fullnameOverride: '1st' }, /"1st" cannot be the name of a Service/],
  [{ fullnameOverride: 'llm.serve' }, /"llm.serve" cannot be the name of a Service/],
  [{ replicas: 2, modelCache: { persistent: true, accessModes: ['ReadWriteOnce'] } }, /one node mounts/],
  [{ secret: { create: true } }, /"api-keys" of the Secret is read.*secret.values does not have it/],
  [{ ...WITH_API_KEYS, valkey: { enabled: true } }, /"valkey-password" of the Secret is read/],
  [{ ...WITH_API_KEYS, serviceMonitor: { enabled: true } }, /"metrics-key" of the Secret is read/],
  [{ externalSecret: { enabled: true, remoteKey: 'llm' } }, /externalSecret.store.name/],
  [{ existingConfigMap: 'own', restartOnConfigChange: true }, /existingConfigMap is read instead/],
  [{ serviceMonitor: { enabled: true }, config: { admin: { metrics: true } } }, /the pod's own loopback/],
  [{ adminPort: 8000 }, /adminPort is 8000/],
  [{ config: { admin: { port: 9100 } } }, /adminPort overrides config.admin.port/],
  [{ valkey: { enabled: true }, config: { leases: { store: 'valkey://v:6379' } } }, /config.leases.store/],
  [{ podLabels: { 'app.kubernetes.io/name': 'other' } }, /podLabels sets app.kubernetes.io\/name/],
  [{ ingress: { enabled: true } }, /ingress.hosts/],
  [{ httpRoute: { enabled: true } }, /httpRoute.parentRefs/],
  [{ autoscaling: { kind: 'keda' } }, /serviceMonitor.enabled: true/],
])('refuses %j and says why', (values, reason) => {
  const { isFine, text } = withValues(values, 'template');
  expect(isFine).toBe(false);
  expect(text).toMatch(reason);
});

it('keeps strings that YAML would take for something else: a namespace of digits, any host of a domain', (context) => {
  needTools(context);
  const values = {
    ingress: { enabled: true, hosts: ['*.example.com'] },
    serviceAccount: { name: '1' },
    priorityClassName: 'true',
    secret: { variables: { HF_TOKEN: '1' } },
    valkey: { enabled: true },
    modelCache: { persistent: true, storageClassName: '1' },
  };
  const { isFine, text } = withValues(values, 'template', '--namespace', '2026');
  expect(isFine, text).toBe(true);
  expect(decode(text).filter(({ problems }) => problems.length > 0)).toEqual([]);
});

it('needs no default_model beside models of one’s own', (context) => {
  needTools(context);
  const models = [{ id: 'own', targets: [{ backend: 'vllm', url: 'http://vllm:8000/v1', model: 'own' }] }];
  const { data } = renderedKind('ConfigMap', { config: { models } });
  const file = { name: 'llm-serve.yaml', text: data['llm-serve.yaml'] };
  expect(configureImage({ LLM_SERVE_AUTH__ALLOW_OPEN: 'true' }, file).default_model).toBe('own');
});

it('takes from the store also what externalSecret.data alone names', (context) => {
  needTools(context);
  const store = { name: 'vault' };
  const data = { 'hub-token': { key: 'hub', property: 'token' } };
  const { spec } = renderedKind('ExternalSecret', {
    externalSecret: { enabled: true, store, remoteKey: 'llm', data },
  });
  expect(spec.data).toEqual([
    { secretKey: 'api-keys', remoteRef: { key: 'llm', property: 'api-keys' } },
    { secretKey: 'hub-token', remoteRef: data['hub-token'] },
  ]);
});

it('lets Prometheus send a key, unless metrics are open', (context) => {
  needTools(context);
  const endpoint = (config: object) =>
    renderedKind('ServiceMonitor', { serviceMonitor: { enabled: true }, config }).spec.endpoints[0];
  expect(endpoint({}).authorization.credentials).toEqual({ name: 'llm-serve', key: 'metrics-key' });
  expect(endpoint({ metrics: { open: true } })).not.toHaveProperty('authorization');
});

it('says in its notes what several replicas do not share, wherever the stores are set', (context) => {
  needTools(context);
  const notes = (values: object) =>
    withValues({ replicas: 2, ...values }, 'install', '--dry-run=client').text;
  const apart = /Each replica (counts limits|uses all slots|has its own keys)/g;
  const store = 'valkey://v:6379';
  expect(notes({}).match(apart)).toHaveLength(3);
  expect(notes({ valkey: { enabled: true } }).match(apart)).toHaveLength(1);
  const config = { limits: { store }, leases: { store }, access: { store: 'postgres://p/llm' } };
  expect(notes({ config }).match(apart)).toBeNull();
});

it.skipIf(missing !== undefined).each([
  [{}, ['api-keys']],
  [{ allowOpen: true }, []],
  [{ allowOpen: true, valkey: { enabled: true } }, ['valkey-password']],
  [{ serviceMonitor: { enabled: true } }, ['api-keys', 'metrics-key']],
  [{ serviceMonitor: { enabled: true }, config: { metrics: { open: true } } }, ['api-keys']],
  [WITH_API_KEYS, []],
])('%j: its notes name the keys of the Secret that pods wait for', (values, keys) => {
  const { text } = withValues(values, 'install', '--dry-run=client');
  const notes = text.slice(text.indexOf('NOTES:'));
  expect([...notes.matchAll(/--from-literal=([-\w]+)=/g)].map(([, key]) => key)).toEqual(keys);
});

it('ends the pod before the next one starts where both would have a volume that only one may have', (context) => {
  needTools(context);
  const strategy = (values: object) => renderedKind('Deployment', values).spec.strategy.type;
  const shared = ['ReadWriteMany'];
  expect(strategy({})).toBe('RollingUpdate');
  expect(strategy({ modelCache: { persistent: true, accessModes: shared } })).toBe('RollingUpdate');
  expect(strategy({ modelCache: { persistent: true, accessModes: ['ReadWriteOnce'] } })).toBe('Recreate');
  // SQLite, which two nodes spoil.
  expect(strategy({ data: { persistent: true, accessModes: shared } })).toBe('Recreate');
  expect(strategy({ data: { existingClaim: 'own', accessModes: shared } })).toBe('Recreate');
});

it('restarts the server and its Valkey for another password, and Valkey for nothing else', (context) => {
  needTools(context);
  const templates = (apiKey: string, password: string) => {
    const secret = {
      create: true,
      values: { 'api-keys': JSON.stringify([apiKey]), 'valkey-password': password },
    };
    const objects = renderedWith({ valkey: { enabled: true }, secret });
    return ['Deployment', 'StatefulSet'].map(
      (kind) => objects.find((object) => object.kind === kind).spec.template,
    );
  };
  const [server, valkey] = templates('first-api-key', 'first');
  const [serverAfter, valkeyAfter] = templates('first-api-key', 'second');
  expect(serverAfter).not.toEqual(server);
  expect(valkeyAfter).not.toEqual(valkey);
  const [serverOtherKey, valkeyOtherKey] = templates('second-api-key', 'first');
  expect(serverOtherKey).not.toEqual(server);
  expect(valkeyOtherKey).toEqual(valkey);
});

it('gives Valkey no label that changes with the version of the chart or the server', (context) => {
  needTools(context);
  const { spec } = renderedKind('StatefulSet', { valkey: { enabled: true } });
  expect(spec.template.metadata.labels).toEqual(spec.selector.matchLabels);
});

it('has Prometheus name the job as the alerts ask for it, whatever the release is called', (context) => {
  needTools(context);
  const { isFine, text } = helm('template', 'prod', CHART, '--set', 'serviceMonitor.enabled=true');
  expect(isFine, text).toBe(true);
  const objects = documentsOf(text);
  const service = objects.find(({ kind }) => kind === 'Service');
  const { jobLabel } = objects.find(({ kind }) => kind === 'ServiceMonitor').spec;
  const jobs = RULES.flatMap(({ expr }) => [...expr.matchAll(/job="([^"]+)"/g)].map(([, job]) => job));
  expect(service.metadata.name).toBe('prod-llm-serve');
  expect(new Set(jobs)).toEqual(new Set([service.metadata.labels[jobLabel]]));
});

it
  .skipIf(missing !== undefined)
  .each(['a', 'b'.repeat(53), `${'c'.repeat(44)}-ddddddd`, `${'e'.repeat(49)}-fff`])(
  'makes of the release %s names and labels within the bounds of Kubernetes',
  (release) => {
    const folder = mkdtempSync(join(tmpdir(), 'llm-serve-values-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    writeFileSync(join(folder, 'values.yaml'), stringify(EVERYTHING));
    const { isFine, text } = helm('template', release, CHART, '--values', join(folder, 'values.yaml'));
    expect(isFine, text).toBe(true);
    const objects = documentsOf(text);
    expect(new Set(objects.map(({ kind }) => kind))).toContain('StatefulSet');
    for (const { kind, metadata, spec } of objects) {
      // A label of DNS is the narrowest bound, and that of a Service and of a pod's host name.
      expect(metadata.name, kind).toMatch(/^[a-z]([-a-z0-9]*[a-z0-9])?$/);
      expect(metadata.name.length, metadata.name).toBeLessThanOrEqual(63);
      const labels = [metadata.labels, spec?.selector?.matchLabels, spec?.template?.metadata.labels];
      for (const value of labels.flatMap((each) => Object.values(each ?? {}))) {
        expect(String(value)).toMatch(/^[A-Za-z0-9]([-_.A-Za-z0-9]*[A-Za-z0-9])?$/);
        expect(String(value).length, String(value)).toBeLessThanOrEqual(63);
      }
      // Its pods get the label controller-revision-hash: the name, a hyphen and up to ten characters.
      if (kind === 'StatefulSet') expect(metadata.name.length).toBeLessThanOrEqual(63 - 11);
    }
    const services = objects.filter(({ kind }) => kind === 'Service').map(({ metadata }) => metadata.name);
    const { spec } = objects.find(({ kind }) => kind === 'StatefulSet');
    expect(services).toContain(spec.serviceName);
    expect(text).toContain(`@${spec.serviceName}:6379`);
  },
);
