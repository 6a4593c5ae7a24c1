// How long it takes from starting the process to the first 200 of /health, without an engine: the server is in front of an upstream
// that is not there, and so are the bare forwarders. They take turns.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { spawnExecutable } from '../executable.mjs';
import { freePort } from '../free-port.mjs';
import { packageVersions } from '../machine.mjs';
import { cpuOf } from '../process-usage.mjs';
import { inRounds, overRounds, rotate } from '../rounds.mjs';
import { FORWARDERS, LABELS } from '../servers.mjs';
import { show, table } from '../statistics.mjs';
import { atMost, target } from '../targets.mjs';

export const perNode = true;
const TARGET_MS = atMost(600);
const UP_WITHIN_MS = 60_000;
const REQUEST = 'GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n';

export async function run({ rounds, node }) {
  const upstreamUrl = `http://127.0.0.1:${await freePort()}`;
  return {
    versions: packageVersions(['fastify', 'undici'], node),
    settings: { rounds },
    rounds: await inRounds(rounds, async (round) => {
      const result = {};
      for (const name of rotate(Object.keys(LABELS), round))
        result[name] = await measure(name, { upstreamUrl, node });
      return result;
    }),
  };
}

async function measure(name, { upstreamUrl, node }) {
  const port = await freePort();
  const startedAt = performance.now();
  const { child, stop } = FORWARDERS.includes(name)
    ? spawnForwarder(name, { upstreamUrl, port, node })
    : spawnExecutable({
        flags: ['--backend', 'openai-compatible', '--url', upstreamUrl, '--model', 'bench'],
        port,
        node,
      });
  try {
    while (!(await isHealthy(port))) {
      if (performance.now() - startedAt > UP_WITHIN_MS || child.exitCode !== null)
        throw new Error(`${name} did not start`);
      await delay(1);
    }
    const ms = performance.now() - startedAt;
    const { user, system } = cpuOf(child.pid);
    return { ms, cpuMs: (user + system) / 1000 };
  } finally {
    await stop();
  }
}

function spawnForwarder(name, { upstreamUrl, port, node }) {
  const script = fileURLToPath(new URL(`../forwarders/${name}.mjs`, import.meta.url));
  const child = fork(script, [upstreamUrl, String(port)], { execPath: node });
  const exited = once(child, 'exit');
  const stop = async () => {
    if (child.connected) child.disconnect();
    await exited;
  };
  return { child, stop };
}

function isHealthy(port) {
  return new Promise((resolve) => {
    let received = '';
    const socket = connect({ host: '127.0.0.1', port });
    socket.on('connect', () => socket.write(REQUEST));
    socket.setEncoding('latin1').on('data', (piece) => {
      received += piece;
    });
    socket.on('error', () => resolve(false));
    socket.on('close', () => resolve(received.startsWith('HTTP/1.1 200 ')));
  });
}

export function report({ rounds }) {
  const rows = Object.entries(LABELS).map(([name, label]) => [
    label,
    `**${show(
      overRounds(rounds, (round) => round[name].cpuMs),
      0,
    )}**`,
    show(
      overRounds(rounds, (round) => round[name].ms),
      0,
    ),
  ]);
  return `${table(['', 'ms of CPU', 'ms until /health answers'], rows)}\n\nTarget: ${TARGET_MS.text} ms on a quiet machine.`;
}

export function targets({ rounds }) {
  const ms = overRounds(rounds, ({ ours }) => ours.ms);
  return [target('start to a listening /health, ms, without an engine', TARGET_MS, ms, 0)];
}
