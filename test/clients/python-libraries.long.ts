/** Libraries for Python that speak OpenAI's protocol, over the stand-in for vLLM. CONTRIBUTING.md says how they are installed. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { endingAfterAll, startServer } from '../support/server.ts';
import { startOpenAiStandIn } from '../support/stand-ins/openai-stand-in.ts';

const SCRIPT = fileURLToPath(new URL('python_libraries.py', import.meta.url));
const PACKAGES = process.env.LLM_TEST_PYTHON_LIBRARIES;
const MISSING = 'LLM_TEST_PYTHON_LIBRARIES names no folder with the packages of python-libraries.txt';

const ALL = ['chat', 'stream', 'tools', 'structured'];
const LIBRARIES: Readonly<Record<string, readonly string[]>> = {
  litellm: ALL,
  openai_agents: ALL,
  pydantic_ai: ALL,
  // It makes objects and nothing else.
  instructor: ['structured'],
  langchain: ALL,
  llm: ALL,
};

interface Outcome {
  readonly feature: string;
  readonly error: string | null;
}

describe('Python libraries', () => {
  const endsWith = endingAfterAll();
  let url = '';
  beforeAll(async () => {
    if (PACKAGES === undefined) return;
    const standIn = await startOpenAiStandIn();
    endsWith(() => standIn.close());
    const models = [{ id: 'talker', targets: [{ backend: 'vllm', url: standIn.url, model: standIn.model }] }];
    const flags = ['--models', JSON.stringify(models), '--rate-limit.enabled', 'false'];
    url = (await startServer({ flags, endsWith })).url;
  });

  for (const [library, features] of Object.entries(LIBRARIES))
    test(`${library}: ${features.join(', ')}`, async (context) => {
      if (PACKAGES === undefined) context.skip(MISSING);
      expect(await outcomesOf(library, url)).toEqual(features.map((feature) => ({ feature, error: null })));
    });
});

function outcomesOf(library: string, url: string): Promise<readonly Outcome[]> {
  const folder = mkdtempSync(join(tmpdir(), 'llm-serve-python-'));
  const { PATH = '' } = process.env;
  const env = { PATH, HOME: folder, PYTHONPATH: PACKAGES, PYTHONDONTWRITEBYTECODE: '1' };
  return new Promise((resolve, reject) => {
    execFile('python3', [SCRIPT, library, url, 'talker', folder], { env }, (failed, stdout, stderr) => {
      rmSync(folder, { recursive: true, force: true });
      if (failed) reject(new Error(stderr));
      else
        resolve(
          stdout
            .split('\n')
            .filter((line) => line.startsWith('{"feature"'))
            .map((line) => JSON.parse(line)),
        );
    });
  });
}
