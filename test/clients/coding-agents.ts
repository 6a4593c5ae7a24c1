/**
 * The coding agents themselves, Codex CLI and Claude Code: each works on a task in a folder of its own, with its own tools, and
 * talks to nobody but the server. They are no dependencies: an environment variable names the executable of each.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Client, Served } from './client-suite.ts';
import type { ClientId } from './matrix.ts';

export type AgentId = Extract<ClientId, 'codex' | 'claude-code'>;

/** One step of the task: the agent is to run this in its folder. */
export interface AgentCall {
  readonly name: string;
  readonly arguments: Readonly<Record<string, unknown>>;
}

interface Agent {
  readonly variable: string;
  /** By which tool it runs a command. */
  call(command: string): AgentCall;
  /** `folder` is its home. */
  start(at: { readonly url: string; readonly model: string; readonly folder: string }): {
    readonly args: readonly string[];
    readonly environment: Readonly<Record<string, string>>;
  };
  /** What it answered in the end, out of what it printed. */
  answerIn(stdout: string): string;
}

const TASK = 'Read note.txt, then the file that it names, and say what is in that.';
/** The second command reads what only the first one tells. */
const COMMANDS = ['cat note.txt', 'cat "$(cat note.txt)"'];
export const FOUND = 'heron';
/** Of a program of 200 MB that a busy machine may take a minute to start; where all is quiet the task takes five seconds. */
const LIMIT_MS = 240_000;
/** What a test of one may take. */
export const AGENT_TEST_MS = LIMIT_MS + 60_000;

const AGENTS: Readonly<Record<AgentId, Agent>> = {
  codex: {
    variable: 'LLM_TEST_CODEX',
    call: (cmd) => ({ name: 'exec_command', arguments: { cmd } }),
    start: ({ url, model, folder }) => {
      writeFileSync(
        join(folder, 'config.toml'),
        `model = "${model}"
model_provider = "ours"

[model_providers.ours]
name = "ours"
base_url = "${url}/v1"
env_key = "LLM_KEY"
wire_api = "responses"
`,
      );
      return {
        args: ['exec', '--skip-git-repo-check', '--json', '--sandbox', 'danger-full-access', TASK],
        environment: { CODEX_HOME: folder, LLM_KEY: 'none' },
      };
    },
    answerIn: (stdout) => {
      const lines = stdout.split('\n').filter((line) => line.startsWith('{'));
      const events = lines.map((line) => JSON.parse(line) as CodexEvent);
      expect(events.at(-1), stdout).toMatchObject({ type: 'turn.completed' });
      const ran = events.filter(
        ({ type, item }) => type === 'item.completed' && item?.type === 'command_execution',
      );
      expect(ran).toMatchObject(COMMANDS.map(() => ({ item: { exit_code: 0 } })));
      return events.flatMap(({ item }) => (item?.type === 'agent_message' ? item.text : [])).at(-1) ?? '';
    },
  },
  'claude-code': {
    variable: 'LLM_TEST_CLAUDE_CODE',
    call: (command) => ({ name: 'Bash', arguments: { command, description: 'Reads the note' } }),
    start: ({ url, model, folder }) => ({
      args: ['-p', TASK, '--model', model, '--output-format', 'json', '--allowedTools', 'Bash'],
      environment: {
        ANTHROPIC_BASE_URL: url,
        ANTHROPIC_API_KEY: 'none',
        CLAUDE_CONFIG_DIR: folder,
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
        DISABLE_AUTOUPDATER: '1',
        DISABLE_ERROR_REPORTING: '1',
        DISABLE_TELEMETRY: '1',
      },
    }),
    answerIn: (stdout) => {
      const told = stdout.split('\n').find((line) => line.startsWith('{'));
      const { result = '', ...outcome } = JSON.parse(told ?? '{}') as { readonly result?: string };
      expect(outcome, stdout).toMatchObject({
        is_error: false,
        num_turns: COMMANDS.length + 1,
        permission_denials: [],
      });
      return result;
    },
  },
};

interface CodexEvent {
  readonly type: string;
  readonly item?: { readonly type: string; readonly text: string };
}

export const AGENT_IDS = Object.keys(AGENTS) as AgentId[];

export function agentModel(id: AgentId): string {
  return `${id}-model`;
}

/** What its model does, turn by turn; after the last call it says what that gave. */
export function agentTurns(id: AgentId): readonly { readonly tool_calls?: readonly AgentCall[] }[] {
  const { call } = AGENTS[id];
  return [...COMMANDS.map((command) => ({ tool_calls: [call(command)] })), {}];
}

export function codingAgents(): readonly Client[] {
  return AGENT_IDS.map((id) => {
    const missing = missingAgent(id);
    return {
      id,
      ...(missing !== undefined && { missing }),
      timeoutMs: AGENT_TEST_MS,
      features: { agent: ({ url }: Pick<Served, 'url'>) => expectTaskDone(id, url) },
    };
  });
}

export function missingAgent(id: AgentId): string | undefined {
  const { variable } = AGENTS[id];
  return process.env[variable] === undefined ? `${variable} names no executable` : undefined;
}

/** That it reads one file after the other with its tools, and tells what is in the second. */
export async function expectTaskDone(id: AgentId, url: string): Promise<void> {
  const agent = AGENTS[id];
  const folder = mkdtempSync(join(tmpdir(), `llm-serve-${id}-`));
  try {
    const home = join(folder, 'home');
    const work = join(folder, 'work');
    mkdirSync(home);
    mkdirSync(work);
    writeFileSync(join(work, 'note.txt'), 'bird.txt');
    writeFileSync(join(work, 'bird.txt'), `It is a ${FOUND}.\n`);
    const { args, environment } = agent.start({ url, model: agentModel(id), folder: home });
    const { stdout, stderr } = await run(process.env[agent.variable] ?? '', args, {
      cwd: work,
      env: { PATH: process.env.PATH ?? '', HOME: home, ...environment },
    });
    expect(agent.answerIn(stdout), stderr).toContain(FOUND);
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

function run(
  executable: string,
  args: readonly string[],
  options: { readonly cwd: string; readonly env: Readonly<Record<string, string>> },
): Promise<{ readonly stdout: string; readonly stderr: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(executable, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    const limit = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS);
    child.on('error', reject);
    child.on('close', (_code, signal) => {
      clearTimeout(limit);
      if (signal === null) resolve({ stdout, stderr });
      else reject(new Error(`${executable} was ended by ${signal}: ${stdout}${stderr}`));
    });
  });
}
