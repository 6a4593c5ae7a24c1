/** Our server in front of fault servers, as the targets of one model, and the clients that ask it. */
import { expect, vi } from 'vitest';
import { ask, metric } from '../http-client.ts';
import type { LogLine } from '../log-lines.ts';
import { whenReady } from '../readiness.ts';
import { type ComposedServer, type EndsWith, startServer } from '../server.ts';
import { askFor, type Outcome, type Ask as ProtocolAsk } from './asks.ts';
import type { Wire } from './fault.ts';
import { type FaultServer, startFaultServer } from './fault-server.ts';

/** Longer than a busy machine is silent by itself: what hangs costs so long. */
export const SILENCE_MS = 2000;
const WITHIN = { timeout: 120_000, interval: 25 };

export interface WorldOptions {
  /** What each target speaks. */
  readonly wires: readonly Wire[];
  /** Of the targets: tokens. The last has the largest, so that a prompt may fit there alone. */
  readonly contextSizes?: readonly number[];
  /** Instead of the first target's own. */
  readonly url?: string;
  readonly slots?: number;
  readonly flags?: readonly string[];
  readonly endsWith: EndsWith;
}

export interface Asked extends Outcome {
  readonly ask: ProtocolAsk;
  readonly line: LogLine;
}

export class FaultWorld {
  readonly server: ComposedServer;
  readonly targets: readonly FaultServer[];
  #asked = 0;

  constructor(server: ComposedServer, targets: readonly FaultServer[]) {
    this.server = server;
    this.targets = targets;
  }

  target(index: number): FaultServer {
    const target = this.targets[index];
    if (target === undefined) throw new Error(`there is no target ${index}`);
    return target;
  }

  /** One request; its line of the log says what became of it. */
  async ask(asked: ProtocolAsk, prompt = this.newPrompt()): Promise<Asked> {
    const outcome = await askFor(this.server, asked, prompt);
    const line = await this.server.requestLine(outcome.requestId);
    return { ...outcome, ask: asked, line };
  }

  /** Another one each time, so that targets are not chosen for what they have cached. */
  newPrompt(): string {
    this.#asked += 1;
    return `number ${this.#asked} count from one to five please`;
  }

  /** Nothing of any request is left: no slot, no place in the queue, no socket in use. */
  async settled(): Promise<void> {
    await vi.waitFor(async () => {
      const left = {
        slots: await this.#gauge('llm_serve_slots_used'),
        waiting: await this.#gauge('llm_serve_requests_waiting'),
        running: await this.#gauge('llm_serve_requests_running'),
        busySockets: this.targets.reduce((sum, { busy }) => sum + busy, 0),
      };
      expect(left).toEqual({ slots: 0, waiting: 0, running: 0, busySockets: 0 });
    }, WITHIN);
  }

  /** Throws where there is no such metric: its sum would be 0 too. */
  async #gauge(name: string): Promise<number> {
    const { text } = await ask(`${this.server.url}/metrics`);
    if (!text.includes(`# TYPE ${name} gauge`)) throw new Error(`there is no gauge ${name}`);
    return metric(this.server, name);
  }
}

export async function startFaultWorld(options: WorldOptions): Promise<FaultWorld> {
  const { wires, contextSizes = wires.map((_, at) => (at === wires.length - 1 ? 4096 : 2048)) } = options;
  const targets = await Promise.all(
    wires.map((wire, at) => startFaultServer({ wire, contextSize: contextSizes[at] ?? 2048 })),
  );
  options.endsWith(() => Promise.all(targets.map((target) => target.close())).then(() => {}));
  const configured = targets.map(({ wire, url, model }, at) => ({
    name: `t${at}`,
    backend: wire,
    url: at === 0 ? (options.url ?? url) : url,
    model,
    slots: options.slots ?? 16,
    connect_timeout_ms: SILENCE_MS,
    first_token_timeout_ms: SILENCE_MS,
    idle_timeout_ms: SILENCE_MS,
    answer_timeout_ms: SILENCE_MS,
  }));
  const server = await startServer({
    flags: [
      ...['--models', JSON.stringify([{ id: 'm', targets: configured }])],
      ...['--rate-limit.enabled', 'false', '--routing.prefix-affinity', 'false'],
      ...(options.flags ?? []),
    ],
    endsWith: options.endsWith,
  });
  await whenReady(server);
  return new FaultWorld(server, targets);
}
