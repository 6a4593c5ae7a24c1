/** Reads the deployment files as their tools would: YAML parsed, ${VARIABLES} put in, the image's environment applied. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { requireKeysOffLoopback } from '../../../src/config/access-rules.ts';
import type { Config } from '../../../src/config/config.ts';
import { loadConfig } from '../../../src/config/load.ts';

export const root = fileURLToPath(new URL('../../..', import.meta.url));

// biome-ignore lint/suspicious/noExplicitAny: foreign documents; each test says what it expects of them.
export type Document = any;

export const COMPOSE_FILES = ['compose.yaml', 'compose.vllm.yaml'] as const;

export function readText(path: string): string {
  return readFileSync(`${root}/${path}`, 'utf8');
}

/** Compose's ${NAME} and ${NAME:-default}. */
export function readCompose(path: string, variables: Readonly<Record<string, string>> = {}): Document {
  const text = readText(path).replace(
    /\$\{(\w+)(?::-([^}]*))?\}/g,
    (whole, name: string, fallback?: string) => {
      const value = variables[name] ?? fallback;
      if (value === undefined) throw new Error(`${path} needs ${whole}`);
      return value;
    },
  );
  return parse(text);
}

export const dockerfile = readText('Dockerfile').replaceAll('\\\n', ' ');

/** What the image's ENV lines set. */
export function imageEnvironment(): Record<string, string> {
  const lines = dockerfile.match(/^ENV .*$/gm) ?? [];
  const pairs = lines.flatMap((line) => line.slice('ENV '.length).trim().split(/\s+/));
  return Object.fromEntries(pairs.map((pair) => pair.split('=') as [string, string]));
}

/** A container’s configuration; a warning (an unknown variable) counts as a failure. */
export function configureImage(
  environment: Readonly<Record<string, string>>,
  file?: { name: string; text: string },
): Config {
  const loaded = loadConfig({
    flags: {},
    environment: { ...imageEnvironment(), ...environment },
    ...(file && { file }),
  });
  if (loaded.warnings.length > 0) throw new Error(loaded.warnings.join(' '));
  requireKeysOffLoopback(loaded.config, { storeHeldKeys: false });
  return loaded.config;
}

/** The seconds that a shutdown may take by this configuration. */
export function shutdownSeconds({ server }: Config): number {
  return server.shutdown_delay_seconds + server.shutdown_grace_seconds;
}
