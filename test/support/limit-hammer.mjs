// A process that asks for decisions about one counter as fast as it can, and sends what came of each to its parent: [admitted, time in µs].
import { createHash } from 'node:crypto';
import { parseValkeyAddress } from '../../dist/stores/valkey/address.js';
import { ValkeyConnection } from '../../dist/stores/valkey/connection.js';
import { ValkeyLimits } from '../../dist/stores/valkey/limit-store.js';

const { address, replica, charge, decisions, atOnce, replaced } = JSON.parse(process.argv[2] ?? '');
const records = [];

/** The script's own answers, times of refusals included; with a fault put into it, where one is asked for. */
const recording = (runner) => ({
  run: async ({ lua, sha1 }, keys, args) => {
    const changed = replaced === undefined ? lua : lua.replace(replaced.text, replaced.by);
    if (replaced !== undefined && changed === lua) throw new Error('the script has no such text');
    const hash = changed === lua ? sha1 : createHash('sha1').update(changed).digest('hex');
    const answer = await runner.run({ lua: changed, sha1: hash }, keys, args);
    records.push([answer[0], answer[1]]);
    return answer;
  },
});

const connection = new ValkeyConnection({
  address: parseValkeyAddress(address),
  name: 'hammer',
  scripts: [],
  connectTimeoutMs: 60_000,
  silenceTimeoutMs: 60_000,
  onReady: () => process.send('ready'),
  onLost: (failure) => {
    throw failure;
  },
});
connection.connect();
process.once('message', async () => {
  const limits = new ValkeyLimits({ runner: recording(connection), prefix: 'hammer', replica });
  let left = decisions;
  const ask = async () => {
    while (left > 0) {
      left -= 1;
      await limits.decide([charge]);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, ask));
  await connection.close();
  process.send(records, () => process.disconnect());
});
