/**
 * The engine's own process: says hello, loads what it is told to, then generates until its parent orders an end or
 * is gone. Signals of the terminal or of a service manager are the parent's business: here they are ignored.
 */
import type { FromEngine, ToEngine } from '../messages.ts';
import type { Batcher } from './batcher.ts';
import { tieToParent } from './lifeline.ts';
import { loadEngine } from './load-engine.ts';

function send(message: FromEngine): void {
  // A parent that has just died is noticed by the disconnect that follows.
  if (process.connected) process.send?.(message, undefined, undefined, () => {});
}

function listen(): void {
  let batcher: Batcher | undefined;
  let progress = 0;

  async function load(message: Extract<ToEngine, { type: 'load' }>): Promise<void> {
    try {
      const loaded = await loadEngine(message.settings, {
        log: (level, text) => send({ type: 'log', level, message: text }),
        emit: (events) => send({ type: 'events', events }),
        progress: () => {
          progress += 1;
        },
      });
      batcher = loaded.batcher;
      send({ type: 'loaded', contextSize: loaded.contextSize });
    } catch (thrown) {
      send({ type: 'load_failed', message: thrown instanceof Error ? thrown.message : String(thrown) });
    }
  }

  async function shutDown(): Promise<void> {
    await batcher?.stop();
    process.exit(0);
  }

  process.on('message', (message: ToEngine) => {
    switch (message.type) {
      case 'load':
        return void load(message);
      case 'generate':
        return batcher?.add(message.generation);
      case 'abort':
        return batcher?.abort(message.id);
      case 'ping':
        return send({ type: 'alive', progress });
      case 'shutdown':
        return void shutDown();
      default:
        message satisfies never;
    }
  });
  // The parent is gone: nobody is left to answer to, and a step under way in native code would delay a polite exit.
  process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
  tieToParent((message) => send({ type: 'log', level: 'warn', message }));
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => {});
  send({ type: 'hello' });
}

listen();
