import { expect, it } from 'vitest';
import { ollama } from '../../../../src/backends/ollama/definition.ts';
import { type LogFields, silentLog } from '../../../../src/core/log.ts';
import { systemClock } from '../../../../src/system-clock.ts';

it('says at the start that the server’s parallelism should equal the slots', async () => {
  const lines: [string, LogFields | undefined][] = [];
  const backend = ollama.create(
    {
      model: 'smollm2',
      url: 'http://127.0.0.1:1',
      keep_alive: -1,
      slots: 3,
      connect_timeout_ms: 100,
      first_token_timeout_ms: 100,
      idle_timeout_ms: 100,
    },
    {
      clock: systemClock,
      log: { ...silentLog, info: (message, fields) => void lines.push([message, fields]) },
      cacheDirectory: '',
      processEnvironment: {},
      onDownloadProgress() {},
    },
  );
  await backend.close();
  expect(lines).toEqual([
    [expect.stringMatching(/OLLAMA_NUM_PARALLEL.*3.*default is 1/), { model: 'smollm2', slots: 3 }],
  ]);
});
