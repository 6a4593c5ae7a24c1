// The servers that are compared, in front of one upstream: llm-serve with all that it has switched on, and two bare forwarders.
import { startExecutable } from './executable.mjs';
import { startWorker } from './worker.mjs';

export const LABELS = {
  fastify: 'bare Fastify + undici',
  'node-http': 'bare node:http + undici dispatch',
  ours: 'llm-serve',
};
export const FORWARDERS = ['fastify', 'node-http'];

/** Streams that are held open are not waited for at the end. */
const NO_GRACE = ['--server.shutdown-grace-seconds', '0'];
/** The limiter counts every request, and lets all of them pass. */
const LIMITER = ['--rate-limit.enabled', 'true', '--rate-limit.requests', '1000000'];

/**
 * Limiter, queue, metrics, and a log file with a line for each request. As the forwarders do, it reads a stream also where
 * the client wants the answer whole. `target`: more of its keys. `node`: the executable of the Node to run on.
 */
export function startOurs({ upstreamUrl, node, target = {}, flags = LIMITER }) {
  const streamed = {
    backend: 'openai-compatible',
    url: upstreamUrl,
    model: 'bench',
    whole_answers: 'streamed',
  };
  const models = JSON.stringify([{ id: 'bench', targets: [{ ...streamed, ...target }] }]);
  return startExecutable({ node, flags: ['--models', models, ...NO_GRACE, ...flags] });
}

export async function startForwarder(name, { upstreamUrl, node }) {
  const program = await startWorker(new URL(`forwarders/${name}.mjs`, import.meta.url), {
    args: [upstreamUrl],
    node,
  });
  return { ...program, url: `http://127.0.0.1:${program.hello.port}` };
}
