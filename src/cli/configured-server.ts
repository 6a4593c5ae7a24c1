/** Where the server is found that the same flags, environment and file would start on this machine. */
import { ConfigError } from '../config/config-error.ts';
import { readEnvironment } from '../config/environment.ts';
import { loadAddress } from '../config/load.ts';
import { type Flags, readConfigFile } from './read-config.ts';

/** Where a server that listens on all addresses is found on its own machine. */
const LOOPBACK_OF: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };

/** Of an address to listen on: one to connect to. */
export function reachableHost(host: string): string {
  return (LOOPBACK_OF[host] ?? host).replace(/^\[|\]$/g, '');
}

export function configuredServer(flags: Flags): string {
  const file = readConfigFile(flags);
  const { host, port } = loadAddress({
    flags: flags.values,
    environment: readEnvironment(),
    ...(file !== null && { file }),
  });
  if (port === 0)
    throw new ConfigError(
      'server.port is 0, so the running server cannot be found. Name its address: --server http://127.0.0.1:8000.',
    );
  const reachable = reachableHost(host);
  return `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`;
}
