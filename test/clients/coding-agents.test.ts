/** The coding agents on the scripted backend. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { scriptedFlags } from '../support/scripted-server.ts';
import { endingAfterAll, startServer } from '../support/server.ts';
import {
  AGENT_IDS,
  AGENT_TEST_MS,
  agentModel,
  agentTurns,
  expectTaskDone,
  missingAgent,
} from './coding-agents.ts';
import { MATRIX } from './matrix.ts';

const endsWith = endingAfterAll();

describe('coding agents on the scripted backend', () => {
  for (const id of AGENT_IDS)
    test(`${id} works on a task over several turns`, { timeout: AGENT_TEST_MS }, async (context) => {
      const missing = missingAgent(id);
      if (missing !== undefined) context.skip(missing);
      const target = { turns: agentTurns(id), tokens: 60, context_size: 100_000 };
      const { url } = await startServer({ flags: scriptedFlags({ id: agentModel(id), target }), endsWith });
      await expectTaskDone(id, url);
    });
});

test('CI installs the coding agents in the versions that the documents name', () => {
  const script = readFileSync(new URL('../../.ci/run', import.meta.url), 'utf8');
  for (const id of AGENT_IDS) {
    const { package: name, version } = MATRIX.clients[id];
    expect(script).toContain(`${name}@${version}`);
  }
});
