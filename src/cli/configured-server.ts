/** Where the server is found that the same flags, environment and file would start on this machine. */
import { networkInterfaces } from 'node:os';
import { ConfigError } from '../config/config-error.ts';
import { CONFIG_FILE, readEnvironment } from '../config/environment.ts';
import { loadAddress } from '../config/load.ts';
import { isLoopbackHost } from '../config/rules.ts';
import { type Flags, readConfigFile } from './read-config.ts';

/** Where a server that listens on all addresses is found on its own machine. */
const LOOPBACK_OF: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };

function isOfThisMachine(host: string): boolean {
  if (host in LOOPBACK_OF || isLoopbackHost(host)) return true;
  return Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === host));
}

/** Of an address to listen on: one to connect to. */
export function reachableHost(host: string): string {
  return (LOOPBACK_OF[host] ?? host).replace(/^\[|\]$/g, '');
}

/** As it is written before a port. */
export function hostInAddress(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

/** What a file in this folder says was perhaps written by somebody else: a key and a conversation go nowhere for it but to this machine. */
export function configuredServer(flags: Flags): string {
  const file = readConfigFile(flags);
  const environment = readEnvironment();
  const { host, port, isHostOfFile } = loadAddress({
    flags: flags.values,
    environment,
    ...(file !== null && { file }),
  });
  const shown = hostInAddress(reachableHost(host));
  if (isHostOfFile && flags.config === undefined && !isOfThisMachine(host))
    throw new ConfigError(
      `server.host of ${CONFIG_FILE} in this folder is ${host}, which is not an address of this machine. If that server is meant, name it: --server http://${shown}:${port}, or --config ${CONFIG_FILE}.`,
    );
  if (port === 0)
    throw new ConfigError(
      'server.port is 0, so the running server cannot be found. Name its address: --server http://127.0.0.1:8000.',
    );
  return `http://${shown}:${port}`;
}
