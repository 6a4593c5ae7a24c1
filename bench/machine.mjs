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

/** `node`: the executable of the Node that is measured. */
export function packageVersions(names, node = process.execPath) {
  const versionOf = (name) =>
    JSON.parse(readFileSync(new URL(`../node_modules/${name}/package.json`, import.meta.url), 'utf8'))
      .version;
  return { node: nodeVersion(node), ...Object.fromEntries(names.map((name) => [name, versionOf(name)])) };
}

export function nodeVersion(node) {
  if (node === process.execPath) return process.versions.node;
  const { stdout, error } = spawnSync(node, ['--version'], { encoding: 'utf8' });
  if (error || !/^v\d/.test(stdout))
    throw new Error(`--node ${node} does not run Node: ${error?.message ?? stdout}`);
  return stdout.trim().slice(1);
}

/** The version of an nginx on the path; undefined where there is none. */
export function nginxVersion() {
  const { stderr, error } = spawnSync('nginx', ['-v'], { encoding: 'utf8' });
  return error ? undefined : stderr.trim().replace(/^.*nginx\//, '');
}
