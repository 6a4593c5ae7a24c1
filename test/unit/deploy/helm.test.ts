import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { stringify } from 'yaml';
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

const missing = missingTools();

/** In a test that needs them. */
function needTools(context: { skip(reason: string): void }): void {
  if (missing !== undefined) context.skip(missing);
}

/** What is wrong with these values on top of the chart's own. */
function refusalOf(values: object): string {
  const folder = mkdtempSync(join(tmpdir(), 'llm-serve-values-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'values.yaml'), stringify(values));
  const { isFine, text } = helm('template', 'llm-serve', CHART, '--values', join(folder, 'values.yaml'));
  return isFine ? '' : text;
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

it.skipIf(missing !== undefined).each([
  [{ replica: 2 }, /replica/],
  [{ modelCache: { size: 'large' } }, /size/],
  [{ autoscaling: { kind: 'cron' } }, /autoscaling/],
  [{ probes: { readiness: { periodSeconds: 5 } } }, /shutdown_delay_seconds is 5/],
  [{ config: { server: { shutdown_delay_seconds: 0 } } }, /shutdown_delay_seconds is 0/],
  [{ replicas: 2, data: { persistent: true } }, /one node mounts/],
  [{ replicas: 2, modelCache: { persistent: true, accessModes: ['ReadWriteOnce'] } }, /one node mounts/],
  [{ secret: { create: true } }, /secret.values does not have/],
  [{ autoscaling: { kind: 'keda' } }, /serviceMonitor.enabled: true/],
])('refuses %j and says why', (values, reason) => {
  expect(refusalOf(values)).toMatch(reason);
});
