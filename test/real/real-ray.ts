/**
 * A real Ray with Ray Serve on this machine, each node on a loopback address of its own, with everything it writes in a temporary
 * folder; `deploy/ray/openai_ingress.py` is found by all. Ray comes from PyPI: from the folder LLM_TEST_RAY names, else it is installed
 * once into node_modules/.cache (some 470 MB). `remove` ends every process and removes the folder.
 */
import { type ChildProcess, execFile, execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { parse } from 'yaml';
import { ask } from '../support/http-client.ts';
import { claimPort } from '../support/own-port.ts';

const RAY = 'ray[serve]==2.60.0';
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const DEPLOYED = join(ROOT, 'deploy/ray');
const STARTS_WITHIN_MS = 180_000;
const LOG_CHARACTERS = 4000;

/** What of `deploy/ray/serve-cpu.yaml` a test changes. */
export interface ServeChanges {
  readonly model: string;
  /** Starts a model server; its port is added. */
  readonly command: readonly string[];
  readonly autoscaling: Readonly<Record<string, number>>;
}

export interface RealRay {
  readonly version: string;
  /** Of Serve's proxies: the first node's, the second's. */
  readonly proxies: readonly [string, string];
  /** Resolves when the application runs on both nodes. */
  deploy(changes: ServeChanges): Promise<void>;
  /** Replicas of the model server that run, by Serve's own word. */
  replicas(): Promise<readonly { readonly nodeIp: string }[]>;
  /** Addresses of the model servers that the replicas have started, those of one node. */
  modelServers(node: 0 | 1): readonly string[];
  /** SIGKILL for every process of the second node, as if its host had gone. Returns how many there were. */
  killSecondNode(): number;
  log(): string;
  remove(): Promise<void>;
}

/** The folder that Ray is in, or why there is none. */
export function findRay(): { readonly folder: string } | { readonly missing: string } {
  const tag = spawnSync('python3', ['-c', 'import sys; print(sys.implementation.cache_tag)'], {
    encoding: 'utf8',
  });
  if (tag.status !== 0) return { missing: 'Ray needs python3' };
  const folder =
    process.env.LLM_TEST_RAY ?? join(ROOT, 'node_modules/.cache', `ray-for-${tag.stdout.trim()}`);
  const isThere = () =>
    spawnSync('python3', ['-c', 'import ray.serve'], { env: environmentOf(folder) }).status === 0;
  if (isThere()) return { folder };
  if (process.env.LLM_TEST_RAY !== undefined) return { missing: `there is no Ray in ${folder}` };
  rmSync(folder, { recursive: true, force: true });
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--target', folder, RAY];
  const installed = spawnSync('nice', ['python3', ...pip], { encoding: 'utf8' });
  if (installed.status === 0 && isThere()) return { folder };
  return { missing: `Ray cannot be installed: ${installed.stderr.slice(-200)}` };
}

export async function startRay(rayFolder: string): Promise<RealRay> {
  // Short: the paths of its sockets have a limit of 107 bytes.
  const folder = mkdtempSync(join(tmpdir(), 'ray-'));
  const nodes: ChildProcess[] = [];
  let log = '';
  const owned = await Promise.all(Array.from({ length: 7 }, claimPort));
  const [gcs, client, dashboard, agent, secondAgent, first, second] = owned.map(({ port }) => port);
  const environment = {
    ...environmentOf(`${DEPLOYED}${delimiter}${rayFolder}`),
    HOME: folder,
    RAY_USAGE_STATS_ENABLED: '0',
    // Both proxies listen on this machine.
    RAY_SERVE_WORKER_PROXY_HTTP_PORT: String(second),
  };
  const api = `http://127.0.0.1:${dashboard}/api/serve/applications/`;
  const startNode = (flags: readonly string[]) => {
    const node = spawn(
      'python3',
      [
        ...['-m', 'ray.scripts.scripts', 'start', '--block', '--num-cpus', '4'],
        ...['--object-store-memory', '100000000', '--min-worker-port', '0', '--max-worker-port', '0'],
        ...flags,
      ],
      { env: environment, cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    const keep = (chunk: Buffer) => {
      log = (log + chunk).slice(-LOG_CHARACTERS);
    };
    node.stdout.on('data', keep);
    node.stderr.on('data', keep);
    nodes.push(node);
  };
  const remove = async () => {
    const ids = nodes.flatMap(({ pid }) => familyOf(pid));
    kill(ids);
    await until(() => ids.every((id) => !isAlive(id)), 'its processes have ended');
    for (const { release } of owned) release();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  const state = async (): Promise<ServeState> => JSON.parse((await ask(api)).text) as ServeState;
  const runningReplicas = async () => {
    const { applications = {} } = await state();
    const found = applications.small?.deployments.ModelServer?.replicas ?? [];
    return found.filter((replica) => replica.state === 'RUNNING').map(({ node_ip }) => ({ nodeIp: node_ip }));
  };
  try {
    startNode([
      ...['--head', '--node-ip-address', '127.0.0.2', '--port', `${gcs}`],
      ...['--ray-client-server-port', `${client}`, '--temp-dir', join(folder, 't')],
      ...['--dashboard-host', '127.0.0.1', '--dashboard-port', `${dashboard}`],
      ...['--dashboard-agent-listen-port', `${agent}`],
    ]);
    await until(
      async () => (await ask(api)).status === 200,
      () => `its dashboard answers: ${log}`,
    );
    startNode([
      ...['--address', `127.0.0.2:${gcs}`, '--node-ip-address', '127.0.0.3'],
      ...['--dashboard-agent-listen-port', `${secondAgent}`],
    ]);
    await until(
      () => familyOf(nodes[1]?.pid).length > 2,
      () => `its second node starts: ${log}`,
    );
  } catch (thrown) {
    await remove();
    throw thrown;
  }
  const proxies = [`http://127.0.0.1:${first}`, `http://127.0.0.1:${second}`] as const;
  return {
    version: execFileSync('python3', ['-c', 'import ray; print(ray.__version__)'], {
      env: environment,
      encoding: 'utf8',
    }).trim(),
    proxies,
    deploy: async (changes) => {
      const file = join(folder, 'serve.yaml');
      writeFileSync(file, JSON.stringify(applicationsWith(changes, Number(first))));
      const deploying = ['-m', 'ray.serve.scripts', 'deploy', '-a', `http://127.0.0.1:${dashboard}`, file];
      await promisify(execFile)('python3', deploying, { env: environment });
      const least = changes.autoscaling.min_replicas ?? 1;
      await until(
        async () => {
          const { applications = {} } = await state();
          const { status, message } = applications.small ?? {};
          if (status === 'DEPLOY_FAILED') throw new Error(`Serve cannot deploy it: ${message}`);
          const lists = proxies.map(async (url) => (await ask(`${url}/v1/models`)).text);
          const listed = (await Promise.all(lists)).every((text) => text.includes(`"${changes.model}"`));
          return status === 'RUNNING' && listed && (await runningReplicas()).length >= least;
        },
        () => `its application runs: ${log}`,
      );
    },
    replicas: runningReplicas,
    modelServers: (node) => {
      const family = new Set(familyOf(nodes[node]?.pid));
      return processes().flatMap(({ pid, command }) => {
        const port = /^\S*node .* --port (\d+)$/.exec(command)?.[1];
        return family.has(pid) && port !== undefined ? [`http://127.0.0.1:${port}`] : [];
      });
    },
    killSecondNode: () => {
      const ids = familyOf(nodes[1]?.pid);
      kill(ids);
      return ids.length;
    },
    log: () => log,
    remove,
  };
}

interface ServeState {
  readonly applications?: Readonly<
    Record<
      string,
      {
        readonly status: string;
        readonly message: string;
        readonly deployments: Readonly<
          Record<
            string,
            { readonly replicas: readonly { readonly state: string; readonly node_ip: string }[] }
          >
        >;
      }
    >
  >;
}

/** The file that users deploy, with another port, command and pace. */
function applicationsWith({ model, command, autoscaling }: ServeChanges, port: number): unknown {
  const file = parse(readFileSync(join(DEPLOYED, 'serve-cpu.yaml'), 'utf8'));
  const [application] = file.applications;
  const [ingress, server] = application.deployments;
  return {
    ...file,
    http_options: { ...file.http_options, host: '127.0.0.1', port },
    applications: [
      {
        ...application,
        args: { model, command },
        deployments: [
          ingress,
          { ...server, autoscaling_config: { ...server.autoscaling_config, ...autoscaling } },
        ],
      },
    ],
  };
}

function environmentOf(pythonPath: string): Record<string, string> {
  return { PATH: process.env.PATH ?? '', PYTHONPATH: pythonPath, PYTHONDONTWRITEBYTECODE: '1' };
}

interface TableLine {
  readonly pid: number;
  readonly parent: number;
  readonly command: string;
}

function processes(): readonly TableLine[] {
  const table = spawnSync('ps', ['-A', '-o', 'pid=,ppid=,args='], { encoding: 'utf8' }).stdout;
  return table.split('\n').map((line) => {
    const [pid, parent, ...command] = line.trim().split(/\s+/);
    return { pid: Number(pid), parent: Number(parent), command: command.join(' ') };
  });
}

/** A process and all that it and those after it have started. */
function familyOf(pid: number | undefined): readonly number[] {
  if (pid === undefined) return [];
  const all = processes();
  const family = [pid];
  for (const member of family)
    family.push(...all.filter(({ parent }) => parent === member).map((child) => child.pid));
  return family;
}

function kill(ids: readonly number[]): void {
  for (const id of ids) {
    try {
      process.kill(id, 'SIGKILL');
    } catch {
      // It has ended already.
    }
  }
}

function isAlive(id: number): boolean {
  // One that has ended, but that nobody waits for, is still in the table.
  const stat = `/proc/${id}/stat`;
  if (existsSync('/proc/self/stat') && !existsSync(stat)) return false;
  const state = spawnSync('ps', ['-o', 'state=', '-p', String(id)], { encoding: 'utf8' }).stdout.trim();
  return state !== '' && !state.startsWith('Z');
}

async function until(holds: () => boolean | Promise<boolean>, what: string | (() => string)): Promise<void> {
  const deadline = Date.now() + STARTS_WITHIN_MS;
  for (;;) {
    const fulfilled = await Promise.resolve(holds()).catch((thrown: Error) => {
      if (thrown.message.startsWith('Serve cannot')) throw thrown;
      return false;
    });
    if (fulfilled) return;
    if (Date.now() > deadline)
      throw new Error(`Ray: not within ${STARTS_WITHIN_MS} ms: ${typeof what === 'string' ? what : what()}`);
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}
