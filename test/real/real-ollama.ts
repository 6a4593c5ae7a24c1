/**
 * A real Ollama, started on a free port with everything it writes in a folder of its own; needs an executable on PATH or
 * in LLM_TEST_OLLAMA. `stop` ends it with its runners and removes the folder.
 */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { claimPort } from '../support/own-port.ts';

export interface RealOllama {
  readonly url: string;
  readonly model: string;
  /** The same, with a template that writes tools and calls. */
  readonly toolModel: string;
  /** The last lines it wrote, for a failed test. */
  log(): string;
  /** How often it started a runner for a model. */
  loads(): number;
  stop(): Promise<void>;
}

export interface RealOllamaOptions {
  readonly executable: string;
  readonly modelPath: string;
  readonly parallel: number;
}

const TOOL_TEMPLATE = `{{- if .Tools }}<|im_start|>system
Tools: {{ .Tools }}<|im_end|>
{{ end }}{{- range .Messages }}<|im_start|>{{ .Role }}
{{ .Content }}{{ range .ToolCalls }}{"name": "{{ .Function.Name }}", "arguments": {{ .Function.Arguments }}}{{ end }}<|im_end|>
{{ end }}<|im_start|>assistant
`;
const STARTS_WITHIN_MS = 30_000;
const LOG_CHARACTERS = 4000;
/** In the words of 0.30 and later, 0.7 to 0.29, and before. */
const RUNNER_STARTS = /msg="starting (llama-server|runner|llama server)"/;

/** Why its tests are skipped where there is none. */
export const NO_OLLAMA = 'there is no executable ollama on PATH, and LLM_TEST_OLLAMA names none';

/** Undefined when there is none. */
export function findOllama(): string | undefined {
  const named = process.env.LLM_TEST_OLLAMA;
  const candidates = named
    ? [named]
    : (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, 'ollama'));
  return candidates.find(isExecutable);
}

/** Whether models that generate embed too, as they did before 0.30. */
export function embedsWithAny(executable: string): boolean {
  const told = execFileSync(executable, ['--version'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [, major = 0, minor = 0] = /version is (\d+)\.(\d+)/.exec(told) ?? [];
  return Number(major) === 0 && Number(minor) < 30;
}

export async function startRealOllama(options: RealOllamaOptions): Promise<RealOllama> {
  const folder = await mkdtemp(join(tmpdir(), 'llm-serve-ollama-'));
  const { port, release } = await claimPort();
  const environment = {
    PATH: process.env.PATH,
    HOME: folder,
    OLLAMA_HOST: `127.0.0.1:${port}`,
    OLLAMA_MODELS: join(folder, 'models'),
    OLLAMA_NUM_PARALLEL: String(options.parallel),
  };
  await mkdir(environment.OLLAMA_MODELS);
  // A group of its own, so that its runners end with it whatever happens.
  const server = spawn(options.executable, ['serve'], {
    env: environment,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  let line = '';
  let loads = 0;
  const keep = (chunk: Buffer) => {
    const text = chunk.toString();
    log = (log + text).slice(-LOG_CHARACTERS);
    const lines = (line + text).split('\n');
    line = lines.pop() ?? '';
    loads += lines.filter((each) => RUNNER_STARTS.test(each)).length;
  };
  server.stdout.on('data', keep);
  server.stderr.on('data', keep);
  const url = `http://127.0.0.1:${port}`;
  const stop = async () => {
    await endGroup(server);
    release();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await untilAnswers(url, server);
    const create = async (name: string, lines: string) => {
      const modelfile = join(folder, `${name}.Modelfile`);
      await writeFile(modelfile, lines);
      await promisify(execFile)(options.executable, ['create', name, '-f', modelfile], { env: environment });
    };
    await create('smollm2', `FROM ${options.modelPath}\n`);
    await create('smollm2-tools', `FROM ${options.modelPath}\nTEMPLATE """${TOOL_TEMPLATE}"""\n`);
  } catch (thrown) {
    await stop();
    throw new Error(`Ollama did not start: ${log}`, { cause: thrown });
  }
  return { url, model: 'smollm2', toolModel: 'smollm2-tools', log: () => log, loads: () => loads, stop };
}

async function untilAnswers(url: string, server: ChildProcess): Promise<void> {
  const deadline = Date.now() + STARTS_WITHIN_MS;
  while (server.exitCode === null && Date.now() < deadline) {
    const answered = await fetch(url).then(
      (response) => response.ok,
      () => false,
    );
    if (answered) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`nothing answers at ${url}`);
}

async function endGroup(server: ChildProcess): Promise<void> {
  const { pid } = server;
  if (pid === undefined) return;
  const exited =
    server.exitCode === null && server.signalCode === null ? once(server, 'exit') : Promise.resolve();
  signalGroup(pid, 'SIGTERM');
  const timer = setTimeout(() => signalGroup(pid, 'SIGKILL'), 5000);
  await exited;
  clearTimeout(timer);
  signalGroup(pid, 'SIGKILL');
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // Nobody of the group is left.
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
