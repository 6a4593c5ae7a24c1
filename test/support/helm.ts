/**
 * Helm and the program that decodes what it renders, as scripts/kubernetes-tools.mjs builds them; and the value sets of deploy/helm with
 * what they render to, which tests read where neither is there.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const TOOLS = process.env.LLM_TEST_KUBERNETES_TOOLS ?? `${ROOT}/node_modules/.cache/kubernetes`;

export const CHART = `${ROOT}/deploy/helm/llm-serve`;

export const VALUE_SETS: readonly string[] = readdirSync(`${ROOT}/deploy/helm/values`)
  .map((file) => file.replace(/\.yaml$/, ''))
  .sort();

/** Why they cannot be run on this machine. */
export function missingTools(): string | undefined {
  if (existsSync(`${TOOLS}/complete`)) return undefined;
  return 'Helm has not been built: node scripts/kubernetes-tools.mjs (needs Go 1.26)';
}

export function valuesFile(set: string): string {
  return `${ROOT}/deploy/helm/values/${set}.yaml`;
}

export function goldenFile(set: string): string {
  return `${ROOT}/test/golden/kubernetes/${set}.yaml`;
}

// biome-ignore lint/suspicious/noExplicitAny: foreign documents; each test says what it expects of them.
export function renderedObjects(set: string): readonly any[] {
  return parseAllDocuments(readFileSync(goldenFile(set), 'utf8'))
    .map((document) => document.toJSON())
    .filter((object) => object !== null);
}

/** What it prints, and whether it is content. */
export function helm(...args: readonly string[]): { readonly isFine: boolean; readonly text: string } {
  const { status, stdout, stderr } = spawnSync(`${TOOLS}/helm`, args, { encoding: 'utf8' });
  return { isFine: status === 0, text: stdout + stderr };
}

/** What `helm template` writes for a value set, with the names that the documentation uses. */
export function render(set: string): string {
  const args = ['template', 'llm-serve', CHART, '--namespace', 'llm', '--values', valuesFile(set)];
  const { status, stdout, stderr } = spawnSync(`${TOOLS}/helm`, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return stdout;
}

export interface DecodedObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly problems: readonly string[];
}

export function decode(objects: string): readonly DecodedObject[] {
  const { status, stdout, stderr } = spawnSync(`${TOOLS}/decode`, [`${TOOLS}/definitions`], {
    input: objects,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout);
}
