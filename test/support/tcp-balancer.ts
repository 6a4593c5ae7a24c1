/**
 * A load balancer that knows connections and no HTTP, as a Kubernetes Service is: each new one goes to an instance whose
 * /ready is 200, and stays there. Owns its port and its probes.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { ask } from './http-client.ts';

const PROBES_EVERY_MS = 100;

export class TcpBalancer {
  readonly #instances = new Map<number, { ready: boolean }>();
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;
  readonly #probes: NodeJS.Timeout;
  #turn = 0;

  private constructor(server: Server) {
    this.#server = server;
    server.on('connection', (client) => this.#forward(client));
    this.#probes = setInterval(() => void this.#probeAll(), PROBES_EVERY_MS);
  }

  static async listen(endsWith: (end: () => void) => void): Promise<TcpBalancer> {
    const server = createServer({ allowHalfOpen: true });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const balancer = new TcpBalancer(server);
    endsWith(() => balancer.#close());
    return balancer;
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  add(port: number): void {
    this.#instances.set(port, { ready: false });
  }

  remove(port: number): void {
    this.#instances.delete(port);
  }

  isReady(port: number): boolean {
    return this.#instances.get(port)?.ready === true;
  }

  async #probeAll(): Promise<void> {
    await Promise.all(
      [...this.#instances].map(async ([port, instance]) => {
        const answer = await ask(`http://127.0.0.1:${port}/ready`).catch(() => undefined);
        instance.ready = answer?.status === 200;
      }),
    );
  }

  #forward(client: Socket): void {
    const ready = [...this.#instances].filter(([, instance]) => instance.ready);
    this.#turn += 1;
    const [port] = ready[this.#turn % ready.length] ?? [];
    if (port === undefined) return void client.destroy();
    const instance = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    for (const [from, to] of [
      [client, instance],
      [instance, client],
    ] as const) {
      this.#sockets.add(from);
      from.setNoDelay(true);
      from.on('close', () => this.#sockets.delete(from));
      // What breaks on one side breaks on the other.
      from.on('error', () => to.destroy());
      from.pipe(to);
    }
  }

  #close(): void {
    clearInterval(this.#probes);
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}
