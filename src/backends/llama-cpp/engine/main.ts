/**
 * The engine's own process: reports that it is up, loads what it is asked to load, then generates, embeds or tokenizes
 * until its parent asks it to end or is gone. Signals of a terminal or a service manager are for the parent: they are
 * ignored here.
 */
import type { FromEngine, ToEngine } from '../messages.ts';
import { GpuFailure } from './compute-device.ts';
import { tieToParent } from './lifeline.ts';
import { type LoadedEngine, loadEngine } from './load-engine.ts';

function send(message: FromEngine): void {
  // A parent that has just died is noticed by the disconnect that follows.
  if (process.connected) process.send?.(message, undefined, undefined, () => {});
}

function listen(): void {
  let progress = 0;
  let engine: LoadedEngine | undefined;

  async function load({ settings, excludedGpus }: Extract<ToEngine, { type: 'load' }>): Promise<void> {
    try {
      engine = await loadEngine(settings, excludedGpus, {
        log: (level, text) => send({ type: 'log', level, message: text }),
        device: (device) => send({ type: 'device', device }),
        emit: (events) => send({ type: 'events', events }),
        progress: () => {
          progress += 1;
        },
      });
      const { contextSize, abilities, toolCallFormat } = engine;
      send({ type: 'loaded', contextSize, abilities, ...(toolCallFormat && { toolCallFormat }) });
    } catch (thrown) {
      const message = thrown instanceof Error ? thrown.message : String(thrown);
      send({ type: 'load_failed', message, gpuFailed: thrown instanceof GpuFailure });
    }
  }

  async function shutDown(): Promise<void> {
    await Promise.all([engine?.batcher.stop(), engine?.embedder.stop()]);
    process.exit(0);
  }

  process.on('message', (message: ToEngine) => {
    switch (message.type) {
      case 'load':
        return void load(message);
      case 'generate':
        return engine?.batcher.add(message.generation);
      case 'embed':
        return engine?.embedder.add(message.embedding);
      case 'tokenize':
      case 'detokenize':
        return engine?.tokenize(message);
      case 'abort':
        engine?.batcher.abort(message.id);
        return engine?.embedder.abort(message.id);
      case 'pause':
        return engine?.batcher.pause(message.id);
      case 'resume':
        return engine?.batcher.resume(message.id);
      case 'ping':
        return send({ type: 'alive', progress });
      case 'shutdown':
        return void shutDown();
      default:
        message satisfies never;
    }
  });
  // Without a parent nobody reads the answers, and a step under way in native code would delay a normal exit.
  process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
  tieToParent((message) => send({ type: 'log', level: 'warn', message }));
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => {});
  send({ type: 'hello' });
}

listen();
