/** The official client of OpenAI for Python: one process that runs the features of openai_client.py by their names. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { expectSlotFreed, ownAddress, PICTURE, whileFailing } from './asked.ts';
import type { Client, Served } from './client-suite.ts';
import { FEATURES, type FeatureId, reasonAgainst } from './matrix.ts';

const SCRIPT = fileURLToPath(new URL('openai_client.py', import.meta.url));
const FOLDER = process.env.LLM_TEST_PYTHONPATH;
const MISSING = 'LLM_TEST_PYTHONPATH names no folder with the Python package openai';

/** What goes on around a feature while the other process runs it. */
const AROUND: Partial<Record<FeatureId, (served: Served, python: PythonProcess) => Promise<void>>> = {
  abort: (served, python) => expectSlotFreed(served, () => python.run('abort', served)),
  failure: (served, python) => whileFailing(served, () => python.run('failure', served)),
  retry: async (served, python) => {
    await python.ready;
    await served.whileBusy('openai-python', (busy) => python.run('retry', served, busy));
  },
};

interface Outcome {
  readonly id: number;
  /** Absent: it went well. */
  readonly error?: string;
}

export function openAiPython(endsWith: (end: () => Promise<void>) => void): Client {
  if (FOLDER === undefined) return { id: 'openai-python', missing: MISSING, features: {} };
  const python = new PythonProcess(FOLDER);
  endsWith(() => python.end());
  const run = (feature: FeatureId) => async (served: Served) => {
    await (AROUND[feature]?.(served, python) ?? python.run(feature, served));
  };
  const isThere = (feature: FeatureId) =>
    (['embedded', 'ollama', 'vllm'] as const).some(
      (backend) => reasonAgainst({ client: 'openai-python', feature, backend }) === undefined,
    );
  return {
    id: 'openai-python',
    features: Object.fromEntries(FEATURES.filter(isThere).map((feature) => [feature, run(feature)])),
  };
}

class PythonProcess {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #waiting = new Map<number, (outcome: Outcome) => void>();
  readonly ready = new Promise<Outcome>((resolve) => this.#waiting.set(0, resolve));
  #last = 0;
  #stderr = '';

  constructor(folder: string) {
    const { PATH = '' } = process.env;
    this.#child = spawn('python3', [SCRIPT], {
      env: { PATH, PYTHONPATH: folder, PYTHONDONTWRITEBYTECODE: '1' },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
      const outcome = JSON.parse(line) as Outcome;
      this.#waiting.get(outcome.id)?.(outcome);
      this.#waiting.delete(outcome.id);
    });
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
    });
    this.#child.on('close', (code) => {
      const error = `python3 ended with ${code}: ${this.#stderr}`;
      for (const [id, settle] of this.#waiting) settle({ id, error });
    });
    this.#child.on('error', ({ message }) => {
      this.#stderr += message;
    });
  }

  async run(feature: FeatureId, served: Served, busy?: string): Promise<void> {
    this.#last += 1;
    const id = this.#last;
    const outcome = await new Promise<Outcome>((resolve) => {
      this.#waiting.set(id, resolve);
      const order = { id, feature, served, busy, picture: PICTURE, address: ownAddress() };
      this.#child.stdin.write(`${JSON.stringify(order)}\n`);
    });
    expect(outcome.error).toBeUndefined();
  }

  /** It ends when it can read no more. */
  async end(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    this.#child.stdin.end();
    await once(this.#child, 'close');
  }
}
