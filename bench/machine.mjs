// What a figure was measured on and with: without it, it says nothing.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, totalmem, type } from 'node:os';

const GIBIBYTE = 1024 ** 3;

export function describeMachine() {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / GIBIBYTE),
    system: `${type()} ${process.arch}`,
    // Before the run: a busy machine shows here.
    loadAverage: loadavg()[0],
  };
}

export function packageVersions(names) {
  const versionOf = (name) =>
    JSON.parse(readFileSync(new URL(`../node_modules/${name}/package.json`, import.meta.url), 'utf8'))
      .version;
  return { node: process.versions.node, ...Object.fromEntries(names.map((name) => [name, versionOf(name)])) };
}

/** The version of an nginx on the path; undefined where there is none. */
export function nginxVersion() {
  const { stderr, error } = spawnSync('nginx', ['-v'], { encoding: 'utf8' });
  return error ? undefined : stderr.trim().replace(/^.*nginx\//, '');
}
