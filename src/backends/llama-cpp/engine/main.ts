/**
 * The engine's own process: reports that it is up, loads what it is asked to load, then generates, embeds or tokenizes, for its parent
 * and for guests, until its parent asks it to end or is gone. Signals of a terminal or a service manager are for the parent: they are
 * ignored here.
 */
import { tieToParent } from '../../../lifeline/lifeline.ts';
import { endWithParent } from '../../../lifeline/orphaned.ts';
import type { EngineEvent, FromEngine, ToEngine, WorkForEngine } from '../messages.ts';
import { GpuFailure } from './compute-device.ts';
import { listenForGuests } from './guest-server.ts';
import { Guests } from './guests.ts';
import { type LoadedEngine, loadEngine } from './load-engine.ts';

function send(message: FromEngine): void {
  // A parent that has just died is noticed by the disconnect that follows.
  if (process.connected) process.send?.(message, undefined, undefined, () => {});
}

function listen(): void {
  let progress = 0;
  let engine: LoadedEngine | undefined;
  let listensAt: string | undefined;
  const lifeline = tieToParent((message) => send({ type: 'log', level: 'warn', message }));
  const guests = new Guests((message) => work(message));

  function emit(events: readonly EngineEvent[]): void {
    const own = guests.deliver(events);
    if (own.length > 0) send({ type: 'events', events: own });
  }

  async function load(message: Extract<ToEngine, { type: 'load' }>): Promise<void> {
    const { settings, excludedGpus, guestAddress } = message;
    // From now on: the folder is there already.
    listensAt = guestAddress;
    if (guestAddress !== undefined) lifeline.listensAt(guestAddress);
    try {
      engine = await loadEngine(settings, excludedGpus, {
        log: (level, text) => send({ type: 'log', level, message: text }),
        device: (device) => send({ type: 'device', device }),
        emit,
        progress: () => {
          progress += 1;
        },
      });
      if (guestAddress !== undefined) {
        await listenForGuests(guestAddress, {
          guests,
          warn: (text) => send({ type: 'log', level: 'warn', message: text }),
        });
      }
      const { contextSize, abilities, toolCallFormat } = engine;
      send({ type: 'loaded', contextSize, abilities, ...(toolCallFormat && { toolCallFormat }) });
    } catch (thrown) {
      const reason = thrown instanceof Error ? thrown.message : String(thrown);
      send({ type: 'load_failed', message: reason, gpuFailed: thrown instanceof GpuFailure });
    }
  }

  async function shutDown(): Promise<void> {
    await Promise.all([engine?.batcher.stop(), engine?.embedder.stop()]);
    process.exit(0);
  }

  function work(message: WorkForEngine): void {
    if (engine === undefined) return;
    const { batcher, embedder, tokenize } = engine;
    switch (message.type) {
      case 'generate':
        batcher.add(message.generation);
        break;
      case 'embed':
        embedder.add(message.embedding);
        break;
      case 'tokenize':
      case 'detokenize':
        tokenize(message);
        break;
      case 'abort':
      case 'pause':
      case 'resume':
        batcher[message.type](message.id);
        embedder[message.type](message.id);
        break;
      default:
        message satisfies never;
    }
  }

  process.on('message', (message: ToEngine) => {
    switch (message.type) {
      case 'load':
        return void load(message);
      case 'ping':
        return send({
          type: 'alive',
          progress,
          worksForGuests: guests.haveWork,
          kvCacheUsed: engine?.kvCacheUsed?.(),
        });
      case 'shutdown':
        return void shutDown();
      default:
        return work(message);
    }
  });
  // Without a parent nobody reads the answers.
  process.on('disconnect', () => endWithParent(listensAt));
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => {});
  send({ type: 'hello' });
}

listen();
