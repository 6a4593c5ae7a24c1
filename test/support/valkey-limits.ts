/** Limits in a test's Valkey, with the time that the test wants. */
import { createHash, randomUUID } from 'node:crypto';
import { parseValkeyAddress } from '../../src/stores/valkey/address.ts';
import { type ScriptRunner, ValkeyConnection } from '../../src/stores/valkey/connection.ts';
import { ValkeyLimits } from '../../src/stores/valkey/limit-store.ts';
import type { Script } from '../../src/stores/valkey/scripts.ts';

/** Resolves once it is connected. */
export async function connectedRunner(address: string): Promise<ScriptRunner> {
  return new Promise((resolve) => {
    const runner = new ValkeyConnection({
      address: parseValkeyAddress(address),
      name: 'test',
      scripts: [],
      connectTimeoutMs: 60_000,
      silenceTimeoutMs: 60_000,
      onReady: () => resolve(runner),
      onLost: () => {},
    });
    runner.connect();
  });
}

/** The scripts run as they are, but for their clock: it stands still until `pass`. */
export class StoppedTime implements ScriptRunner {
  readonly #runner: ScriptRunner;
  #us = Date.now() * 1000;
  /** One after the other: a script that is new to the server is sent twice, and the next would overtake it. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(runner: ScriptRunner) {
    this.#runner = runner;
  }

  /** Since the Unix epoch. */
  get wallNow(): number {
    return this.#us / 1000;
  }

  pass(milliseconds: number): void {
    this.#us += Math.round(milliseconds * 1000);
  }

  run({ lua }: Script, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    const seconds = Math.floor(this.#us / 1e6);
    const stopped = lua.replaceAll("redis.call('TIME')", `{ ${seconds}, ${this.#us - seconds * 1e6} }`);
    const sha1 = createHash('sha1').update(stopped).digest('hex');
    const answer = this.#last.then(() => this.#runner.run({ lua: stopped, sha1 }, keys, args));
    this.#last = answer.catch(() => {});
    return answer;
  }

  close(): Promise<void> {
    return this.#runner.close();
  }
}

/** Apart from all others in the same server. */
export function limitsOf(runner: ScriptRunner): ValkeyLimits {
  return new ValkeyLimits({ runner, prefix: randomUUID(), replica: randomUUID() });
}
