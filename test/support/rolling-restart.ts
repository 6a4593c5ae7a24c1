/** Two instances at fixed ports behind a balancer of deploy/two-instances, restarted one after the other under load. */
import { expect, onTestFinished } from 'vitest';
import { type Executable, startExecutable } from './executable.ts';
import { metric } from './http-client.ts';
import { KeptConnections } from './kept-connections.ts';
import { ownPort } from './own-port.ts';
import { type BalancerId, startBalancer } from './proxy.ts';
import { whenReady } from './readiness.ts';
import { scriptedFlags } from './scripted-server.ts';

/** Above the second in which the balancers of deploy/ look at /ready again, also on a busy machine. */
const DELAY_SECONDS = 5;

interface RollingRestart {
  readonly balancer: BalancerId;
  readonly clients: number;
  /** Answers at least; each instance is restarted `rounds` times on the way. */
  readonly requests: number;
  readonly rounds: number;
}

export async function rollingRestart({ balancer, clients, requests, rounds }: RollingRestart) {
  const ports = [await ownPort(onTestFinished), await ownPort(onTestFinished)] as const;
  const startAt = async (port: number): Promise<Executable> => {
    const flags = [
      ...scriptedFlags({ target: { slots: 64 } }),
      ...['--server.shutdown-delay-seconds', String(DELAY_SECONDS), '--port', String(port)],
    ];
    const instance = await startExecutable({ flags, endsWith: onTestFinished });
    await whenReady(instance);
    return instance;
  };
  const instances = [await startAt(ports[0]), await startAt(ports[1])];
  const load = new KeptConnections(await startBalancer(balancer, ports, onTestFinished));
  onTestFinished(() => load.close());
  const running = Array.from({ length: clients }, (_, client) => load.run(client));
  // The balancer has asked /ready after it turned 200, or has sent a request.
  const isSeen = async (instance: Executable) => {
    const known = () => answered(instance);
    const before = await known();
    await expect.poll(known, { timeout: 120_000 }).toBeGreaterThan(before);
  };
  for (const instance of instances) await isSeen(instance);
  const exitCodes = [];
  const steps = rounds * instances.length;
  for (let step = 0; step < steps; step += 1) {
    const index = step % instances.length;
    await load.reached((requests / (steps + 1)) * (step + 1));
    exitCodes.push((await (instances[index] as Executable).stop()).exitCode);
    const fresh = await startAt(ports[index] as number);
    instances[index] = fresh;
    await isSeen(fresh);
  }
  await load.reached(requests);
  load.stop();
  await Promise.all(running);
  return { failures: load.failures, answered: load.answered, long: load.long, exitCodes };
}

async function answered(instance: Executable): Promise<number> {
  const of = (route: string) => metric(instance, 'llm_serve_requests_total', `route="${route}",status="200"`);
  return (await of('/ready')) + (await of('/generate'));
}
