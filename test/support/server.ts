/**
 * The whole server in the test's own process, composed of the same flags, variables and file as the executable and
 * listening on a port of its own. It starts in milliseconds; what only a process has (signals, exit codes, memory) is tested
 * with `executable.ts`.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';
import { readVersion } from '../../src/cli/version.ts';
import { compose } from '../../src/compose.ts';
import { composeControl } from '../../src/compose-control.ts';
import { accessNotices } from '../../src/config/access-rules.ts';
import { type LoadedConfig, loadConfig } from '../../src/config/load.ts';
import { SETTINGS, SHORTCUTS } from '../../src/config/settings.ts';
import type { ApplicationLog, LogFields } from '../../src/core/log.ts';
import { jsonLine, LEVELS, type Severity } from '../../src/telemetry/log.ts';
import { type LogLine, LogLines } from './log-lines.ts';
import { ownPort } from './own-port.ts';

export interface ServerOptions {
  readonly flags?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Text of an `llm-serve.yaml` in the working directory. */
  readonly configFile?: string;
  /** Takes what ends the server: `onTestFinished` inside a test, what `endingAfterAll()` returned outside. */
  readonly endsWith: EndsWith;
}

export type EndsWith = (end: () => Promise<void>) => void;

/** What a test reads off a server, in this process or in its own. */
export interface RunningServer {
  readonly url: string;
  readonly port: number;
  logs(): readonly LogLine[];
  /** The line of one request, once it is written. */
  requestLine(requestId: string): Promise<LogLine>;
  /** The first line that fits, written already or yet to come. */
  logged(fits: (line: LogLine) => boolean): Promise<LogLine>;
}

export interface ComposedServer extends RunningServer {
  /** Of `admin.port`. */
  readonly adminUrl: string | undefined;
  /** As on SIGTERM: refuses what is new, finishes what is under way, and closes. */
  drain(): Promise<void>;
  /** The file that it reads when it is reloaded. Flags and variables stay those of the start, as those of a process do. */
  reconfigure(changes: Required<Pick<ServerOptions, 'configFile'>>): void;
  /** As on SIGHUP. */
  reload(trigger: string): void;
  /** Reading the configuration again takes until `release`. */
  holdReading(): { readonly began: Promise<void>; readonly release: () => void };
}

/**
 * In how many processes servers of tests serve: `LLM_TEST_WORKERS=2` runs the same tests against the other shape
 * (scripts/both-shapes.mjs).
 */
export const TEST_WORKERS = Number(process.env.LLM_TEST_WORKERS ?? 1);

const WORKER_PATH = fileURLToPath(new URL('../../dist/cli/worker.js', import.meta.url));

/** No load balancer has to notice that a server ends. */
export const TEST_ENVIRONMENT = { LLM_SERVE_SERVER__SHUTDOWN_DELAY_SECONDS: '0' };

/**
 * Ends what is started in `beforeAll`, or in one test for others too. Call it where tests are collected: an `afterAll`
 * that is registered while they run is never called.
 */
export function endingAfterAll(): EndsWith {
  const ends: (() => Promise<void>)[] = [];
  afterAll(async () => {
    await Promise.all(ends.map((end) => end()));
  });
  return (end) => ends.push(end);
}

/** Starts the server and resolves once it listens. */
export async function startServer(options: ServerOptions): Promise<ComposedServer> {
  const folder = mkdtempSync(join(tmpdir(), 'llm-serve-test-'));
  const place = { folder, port: await ownPort(options.endsWith) };
  const { config, sources, warnings } = readOptions(options, place);
  let current: Partial<ServerOptions> = {};
  let held: Promise<void> | undefined;
  let onReading = () => {};
  const lines = new LogLines();
  const log = logInto(lines, config.logging.level);
  const parts = {
    config,
    sources,
    log,
    // Workers are of the build.
    version: readVersion(),
    cacheDirectory: config.cache.directory ?? join(folder, 'models'),
    dataDirectory: config.data.directory ?? join(folder, 'data'),
    processEnvironment: process.env,
    readConfig: async () => {
      onReading();
      await held;
      return readOptions({ ...options, ...current }, place);
    },
    onDownloadProgress: () => {},
    onFatal: ({ message }: Error) => log.error(message),
  };
  const application =
    TEST_WORKERS === 1
      ? await compose(parts)
      : await composeControl({
          ...parts,
          processEnvironment: { ...process.env, ...environmentOf(options) },
          workers: TEST_WORKERS,
          workerPath: WORKER_PATH,
          launch: { isTerminal: false, flags: flagsOf(options, place) },
          file: fileOf(options),
          onOutput: (written) => {
            for (const line of written.trimEnd().split('\n')) lines.add(JSON.parse(line) as LogLine);
          },
          onErrorOutput: (written) => log.error('error output of a worker', { written }),
        });
  options.endsWith(async () => {
    await application.close();
    rmSync(folder, { recursive: true, force: true });
  });
  for (const warning of warnings) log.warn(warning);
  const { url, adminUrl } = await application.start();
  for (const notice of accessNotices(config, application.keys)) log.info(notice);
  return {
    url,
    adminUrl,
    port: Number(new URL(url).port),
    logs: () => lines.all,
    logged: (fits) => lines.find(fits),
    requestLine: (requestId) => lines.ofRequest(requestId),
    drain: () => application.stop({ delays: true }),
    reconfigure: (changes) => {
      current = changes;
    },
    reload: (trigger) => application.reload(trigger),
    holdReading: () => {
      let release = () => {};
      held = new Promise((resolve) => {
        release = resolve;
      });
      const began = new Promise<void>((resolve) => {
        onReading = resolve;
      });
      return { began, release };
    },
  };
}

interface Place {
  readonly folder: string;
  readonly port: number;
}

/** Without a store of their own, servers of tests keep nothing, unless `data.directory` asks for the default one. */
function readOptions(options: ServerOptions, place: Place): LoadedConfig {
  const file = fileOf(options);
  const loaded = loadConfig({
    flags: flagsOf(options, place),
    environment: environmentOf(options),
    ...(file !== null && { file }),
  });
  const { access, data } = loaded.config;
  if (access.store !== undefined || data.directory !== undefined) return loaded;
  return { ...loaded, config: { ...loaded.config, access: { store: 'memory:' } } };
}

/** Workers share a store. */
function flagsOf({ flags = [] }: ServerOptions, { folder, port }: Place): Record<string, string> {
  const shared =
    TEST_WORKERS === 1
      ? []
      : [
          ...['--server.workers', String(TEST_WORKERS)],
          ...['--data.directory', join(folder, 'data'), '--cache.directory', join(folder, 'models')],
        ];
  return flagValues([...shared, '--port', String(port), ...flags]);
}

function environmentOf({ environment = {} }: ServerOptions): Record<string, string> {
  return { ...TEST_ENVIRONMENT, ...environment };
}

function fileOf({ configFile }: ServerOptions) {
  return configFile === undefined ? null : { name: 'llm-serve.yaml', text: configFile };
}

const KEYS = new Map<string, string>([
  ...SETTINGS.map(({ flag, key }) => [flag, key] as const),
  ...SHORTCUTS.map((name) => [`--${name}`, name] as const),
  ['--port', 'server.port'],
  ['--host', 'server.host'],
]);

/** Each flag has a value here: `--auth.allow-open true`. */
function flagValues(flags: readonly string[]): Record<string, string> {
  const values: Record<string, string> = {};
  for (let at = 0; at < flags.length; at += 2) {
    const [flag = '', value] = flags.slice(at, at + 2);
    const key = KEYS.get(flag);
    if (key === undefined || value === undefined) throw new Error(`${flag} is no flag with a value`);
    values[key] = value;
  }
  return values;
}

function logInto(lines: LogLines, level: Severity | 'silent'): ApplicationLog {
  const at =
    (severity: Severity) =>
    (message: string, fields: LogFields = {}) => {
      if (level === 'silent' || LEVELS[severity] < LEVELS[level]) return;
      lines.add(JSON.parse(jsonLine({ severity, at: Date.now(), message, fields })) as LogLine);
    };
  const info = at('info');
  return {
    debug: at('debug'),
    info,
    warn: at('warn'),
    error: at('error'),
    request: (fields) => info('request', fields),
  };
}
