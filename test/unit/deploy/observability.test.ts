import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { DASHBOARDS, metricsIn, type Panel, queriesOf, RULES } from '../../support/observability.ts';
import { missingProgram, promtool } from '../../support/prometheus.ts';
import { readText, root } from './deployment-files.ts';

/** Of Grafana today; `graph`, `singlestat` and `table-old` are gone. */
const PANEL_TYPES = ['row', 'stat', 'timeseries', 'heatmap', 'table'];
const WIDTH = 24;

const known = new Set(
  [...readText('docs/reference/metrics.md').matchAll(/^\| `([^`]+)` \|/gm)].map(([, name]) => name),
);

function overlap(one: Panel['gridPos'], other: Panel['gridPos']): boolean {
  const beside = one.x >= other.x + other.w || other.x >= one.x + one.w;
  const below = one.y >= other.y + other.h || other.y >= one.y + one.h;
  return !beside && !below;
}

describe.each([...DASHBOARDS])('the dashboard %s', (_, dashboard) => {
  const panels = dashboard.panels.filter(({ type }) => type !== 'row');

  it('asks only for metrics that exist', () => {
    const asked = queriesOf(dashboard).flatMap(({ expr }) => metricsIn(expr));
    expect(asked.length).toBeGreaterThan(20);
    expect(asked.filter((name) => !known.has(name))).toEqual([]);
  });

  it('can be imported anywhere: every query asks the data source that is chosen', () => {
    const sources = panels.flatMap(({ datasource, targets = [] }) => [
      datasource?.uid,
      ...targets.map((target) => target.datasource.uid),
    ]);
    expect(new Set(sources)).toEqual(new Set(['${datasource}']));
    expect(dashboard.templating.list[0]).toMatchObject({ name: 'datasource', type: 'datasource' });
  });

  it('has panels of today, each with a title, a description and a unit, none twice and none over another', () => {
    for (const panel of panels) {
      expect(PANEL_TYPES).toContain(panel.type);
      expect([panel.title, panel.description, panel.fieldConfig?.defaults.unit]).not.toContain(undefined);
      expect(panel.gridPos.x + panel.gridPos.w).toBeLessThanOrEqual(WIDTH);
    }
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
    for (const [index, { title, gridPos }] of dashboard.panels.entries())
      for (const other of dashboard.panels.slice(index + 1))
        expect(overlap(gridPos, other.gridPos), `${title} over ${other.title}`).toBe(false);
  });

  it('links to the other one', () => {
    const others = [...DASHBOARDS.values()].filter(({ uid }) => uid !== dashboard.uid);
    expect(dashboard.links.map(({ url }) => url)).toEqual(others.map(({ uid }) => `/d/${uid}`));
  });
});

describe('the alerts', () => {
  const runbooks = readText('docs/runbooks.md');
  const anchors = [...runbooks.matchAll(/^## (.+)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replaceAll(/[^\w -]/g, '')
      .replaceAll(' ', '-'),
  );

  it('ask only for metrics that exist', () => {
    expect(RULES.flatMap(({ expr }) => metricsIn(expr)).filter((name) => !known.has(name))).toEqual([]);
  });

  it('each have their section in the runbooks, and no section is nobody’s', () => {
    const linked = RULES.map(({ annotations }) => annotations.runbook_url?.split('docs/runbooks.md#')[1]);
    expect([...linked].sort()).toEqual([...anchors].sort());
  });

  it('each occur in the tests of promtool', () => {
    const tests = readText('deploy/prometheus/alerts.test.yaml');
    expect(RULES.filter(({ alert }) => !tests.includes(alert))).toEqual([]);
  });

  const missing = missingProgram('promtool');
  it.skipIf(missing !== undefined)('are valid, and fire when they should', () => {
    for (const args of [
      ['check', 'config', 'prometheus.yaml'],
      ['test', 'rules', 'alerts.test.yaml'],
    ]) {
      const { isFine, text } = promtool(...args);
      expect(isFine, text).toBe(true);
    }
  });
});

describe('compose.observability.yaml', () => {
  const overlay = parse(readText('compose.observability.yaml'));
  const services: Record<string, { image: string; ports: string[]; volumes: string[] }> = overlay.services;

  it('mounts files that exist, for reading', () => {
    const mounted = Object.values(services)
      .flatMap(({ volumes }) => volumes)
      .filter((volume) => volume.startsWith('.'));
    expect(mounted).toHaveLength(5);
    for (const volume of mounted) {
      const [source = '', , mode] = volume.split(':');
      expect([source, existsSync(join(root, source)), mode]).toEqual([source, true, 'ro']);
    }
  });

  it('names its images with a version, and publishes them on this machine only', () => {
    for (const { image, ports } of Object.values(services)) {
      expect(image).toMatch(/:v?\d+\.\d+\.\d+$/);
      for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:/);
    }
  });

  it('scrapes the service of the other compose files as prometheus.yaml does a local one', () => {
    const local = parse(readText('deploy/prometheus/prometheus.yaml'));
    const composed = parse(readText('deploy/prometheus/prometheus.compose.yaml'));
    composed.scrape_configs[0].static_configs[0].targets = ['127.0.0.1:8000'];
    expect(composed).toEqual(local);
    const source = parse(readText('deploy/grafana/provisioning/datasources/prometheus.yaml')).datasources[0];
    expect(source.url).toBe('http://prometheus:9090');
    expect(source.jsonData.timeInterval).toBe(local.global.scrape_interval);
    const provider = readFileSync(
      join(root, 'deploy/grafana/provisioning/dashboards/llm-serve.yaml'),
      'utf8',
    );
    expect(provider).toContain('path: /var/lib/grafana/dashboards');
  });
});
