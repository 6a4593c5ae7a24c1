/** What deploy/grafana and deploy/prometheus have: the panels of the dashboards and the rules, for tests that look at them or run them. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

const DEPLOY = fileURLToPath(new URL('../../deploy', import.meta.url));

export interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly datasource?: { readonly uid: string };
  readonly targets?: readonly { readonly expr: string; readonly datasource: { readonly uid: string } }[];
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string } };
}

export interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly panels: readonly Panel[];
  readonly links: readonly { readonly url: string }[];
  readonly templating: {
    readonly list: readonly { readonly name: string; readonly type: string; readonly definition?: string }[];
  };
}

export interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly annotations: Readonly<Record<string, string>>;
}

export const DASHBOARDS: ReadonlyMap<string, Dashboard> = new Map(
  readdirSync(`${DEPLOY}/grafana`)
    .filter((file) => file.endsWith('.json'))
    .map((file) => [file, JSON.parse(readFileSync(`${DEPLOY}/grafana/${file}`, 'utf8'))]),
);

export const RULES: readonly Rule[] = parse(
  readFileSync(`${DEPLOY}/prometheus/alerts.yaml`, 'utf8'),
).groups.flatMap(({ rules }: { rules: Rule[] }) => rules);

export function queriesOf({ panels }: Dashboard): { readonly panel: string; readonly expr: string }[] {
  return panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ panel: title, expr })));
}

/** The metrics that an expression asks for, without the suffixes of histograms. */
export function metricsIn(expr: string): string[] {
  return [
    ...expr.matchAll(/\b((?:llm_serve|process|nodejs|vllm:)\w+?)(?:_bucket|_sum|_count)?(?=[{[),\s]|$)/g),
  ]
    .map(([, name = '']) => name)
    .filter((name) => name !== 'process');
}

/** What an alert compares: without its comparisons, an expression that finds something also while all is well. */
export function operandsOf({ expr }: Rule): string[] {
  return expr
    .split(/\s+and on \([^)]*\)\s+|\s[<>]\s(?=[a-z])/)
    .map((part) => part.replace(/\s(?:==|<|>)\s[\d.]+$/, ''));
}
