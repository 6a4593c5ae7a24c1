/** Where connections are taken: one address, or each address of `localhost`. Knows nothing of what comes over them. */
import { lookup } from 'node:dns/promises';
import type { AddressInfo, Server } from 'node:net';
import { networkInterfaces } from 'node:os';

export interface ListenAddress {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
}

interface Listening<Listener> {
  readonly url: string;
  readonly servers: readonly Listener[];
}

/** Resolves once connections are taken; rejects where the address can't be had. */
export async function listenOn<Listener extends Server>(
  { host, port }: ListenAddress,
  create: () => Listener,
): Promise<Listening<Listener>> {
  const servers: Listener[] = [];
  const open = async (address: ListenAddress) => {
    servers.push(await opened(create(), address));
  };
  await open({ host, port });
  const bound = servers[0]?.address() as AddressInfo;
  // The name may have an IPv4 and an IPv6 address, and clients try either; one of them may be missing.
  if (host === 'localhost') {
    const addresses = await lookup(host, { all: true }).catch(() => []);
    const others = addresses.filter(({ address }) => address !== bound.address);
    await Promise.allSettled(others.map(({ address }) => open({ host: address, port: bound.port })));
  }
  return { url: urlOf(bound), servers };
}

function opened<Listener extends Server>(server: Listener, address: ListenAddress): Promise<Listener> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(address, () => {
      server.off('error', reject);
      resolve(server);
    });
  });
}

/** Listening on all interfaces: with an address of this machine. */
function urlOf({ address, port, family }: AddressInfo): string {
  if (family === 'IPv6' || address.includes(':')) return `http://[${address}]:${port}`;
  return `http://${address === '0.0.0.0' ? firstAddress() : address}:${port}`;
}

function firstAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((interfaces) => interfaces ?? []);
  const ipv4 = all.filter(({ family }) => family === 'IPv4');
  return (ipv4.find(({ internal }) => internal) ?? ipv4[0])?.address ?? '0.0.0.0';
}
