// A bench script in a process of its own that answers orders over its channel, and never outlives its parent.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** Starts `script`, on another `node` if need be; resolves with its first message (what it says once it is up). */
export async function startWorker(script, { args = [], execArgv = [], env = {}, node } = {}) {
  const options = { execArgv, env: { ...process.env, ...env }, ...(node && { execPath: node }) };
  const child = fork(fileURLToPath(script), args, options);
  const { message, ask, ended } = conversationWith(child, String(script));
  return {
    pid: child.pid,
    hello: await message(),
    ask,
    stop: async () => {
      child.disconnect();
      await ended.catch(() => {});
    },
  };
}

/** `message`: the next that it says; `ask`: what it answers; both reject when it ends. */
export function conversationWith(child, name) {
  const ended = once(child, 'exit').then(([code, signal]) => {
    throw new Error(`${name} ended with ${signal ?? code}`);
  });
  ended.catch(() => {});
  const message = () => Promise.race([once(child, 'message').then(([said]) => said), ended]);
  const ask = (order) => {
    const answer = message();
    child.send(order);
    return answer;
  };
  return { message, ask, ended };
}

/** In the worker: says `hello`, then answers every order in turn; a lost parent ends the process. */
export function serveOrders(hello, answer = async () => ({})) {
  process.on('message', async (order) => process.send(await answer(order)));
  process.on('disconnect', () => process.exit(0));
  process.send(hello);
}
