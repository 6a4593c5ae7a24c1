/**
 * `llm-serve reload`: asks the running server to read its configuration again, and prints what has changed. Finds the server by the
 * same configuration: its address and an admin key, which may also be in LLM_SERVE_KEY.
 */
import { request } from 'node:http';
import type { Config } from '../config/config.ts';
import { ConfigError } from '../config/config-error.ts';
import { remoteDefaults, remoteVariables } from '../config/environment.ts';
import { printableText } from '../core/log.ts';
import { hostInAddress, reachableHost } from './configured-server.ts';
import { type Flags, readConfig } from './read-config.ts';

const EXIT_FAILURE = 1;
const EXIT_USAGE = 2;
/** Reading a configuration is a matter of milliseconds; a server that takes longer has stopped answering. */
const ANSWER_WITHIN_MS = 30_000;

export async function reload(flags: Flags): Promise<number> {
  const { config } = readConfig(flags);
  const { host, port } = addressOf(config);
  const address = { host: reachableHost(host), port };
  const shown = `${hostInAddress(address.host)}:${port}`;
  // The keys of access.store can't be read from there: only their hashes are stored.
  const key = config.auth.admin_keys[0]?.key ?? remoteDefaults().key;
  const answer = await ask(address, key).catch((error: NodeJS.ErrnoException) => {
    throw new Error(`no server answers at ${shown} (${error.code ?? error.message}). Nothing was reloaded.`);
  });
  if (answer.status === 200) {
    process.stdout.write(printableText(describe(JSON.parse(answer.text) as Outcome, shown)));
    return 0;
  }
  const hint = answer.status === 401 && key === undefined ? ` Give it with ${remoteVariables.key}.` : '';
  process.stderr.write(
    `llm-serve: not reloaded, nothing has changed: ${printableText(messageOf(answer))}${hint}\n`,
  );
  return answer.status === 422 ? EXIT_USAGE : EXIT_FAILURE;
}

/** Where the running server takes it. */
function addressOf({ server, admin }: Config): { readonly host: string; readonly port: number } {
  const { port } = admin;
  if (port === 0)
    throw new ConfigError(
      'admin.port is 0, so the running server cannot be found. Name its port: --admin.port 9000.',
    );
  if (port !== undefined) return { host: admin.host, port };
  if (server.port === 0)
    throw new ConfigError(
      'server.port is 0, so the running server cannot be found. Name its port: --port 8000.',
    );
  return server;
}

interface Outcome {
  readonly changed: readonly string[];
  readonly unchanged_needs_restart: readonly string[];
}

function describe({ changed, unchanged_needs_restart: staying }: Outcome, address: string): string {
  const lines = [
    changed.length === 0 ? `${address}: nothing has changed.` : `${address}: reloaded.`,
    ...changed.map((line) => `  ${line}`),
    ...(staying.length === 0 ? [] : [`Unchanged until a restart: ${staying.join(', ')}`]),
  ];
  return `${lines.join('\n')}\n`;
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

function ask(
  address: { readonly host: string; readonly port: number },
  key: string | undefined,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asking = request({
      ...address,
      path: '/admin/reload',
      method: 'POST',
      headers: { 'content-length': 0, ...(key !== undefined && { authorization: `Bearer ${key}` }) },
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
    });
    asking.once('error', reject);
    asking.once('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (piece: string) => {
        text += piece;
      });
      response.once('error', reject);
      response.once('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    asking.end();
  });
}

/** The server's own words, or the status of one that is no llm-serve. */
function messageOf({ status, text }: Answer): string {
  try {
    const { error } = JSON.parse(text) as { readonly error?: { readonly message?: unknown } };
    if (typeof error?.message === 'string') return error.message;
  } catch {
    // Some other server.
  }
  return `the server answered ${status}`;
}
