// How soon a replica serves that joins another one, which has all slots of their upstream in use and more requests waiting.
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { request } from 'undici';
import { spawnExecutable, startExecutable } from '../executable.mjs';
import { withPrograms } from '../programs.mjs';
import { startWorker } from '../worker.mjs';

const SLOTS = 8;
/** Each answer takes this long at the upstream. */
const ANSWER_MS = 100;
const CONNECTIONS = 32;
const BODY = JSON.stringify({ prompt: 'What is the capital of France?', max_tokens: 8 });
const HEADERS = { 'content-type': 'application/json' };
const LOOK_EVERY_MS = 5;

/** The first replica keeps asking for all slots meanwhile. `valkey`: it has no lease of another run. */
export async function timeToJoin({ valkey, node }) {
  return withPrograms(async (keep) => {
    const upstream = keep(
      await startWorker(new URL('slow-upstream.mjs', import.meta.url), { args: [String(ANSWER_MS)] }),
    );
    const target = {
      backend: 'openai-compatible',
      url: `http://127.0.0.1:${upstream.hello.port}`,
      model: 'bench',
      slots: SLOTS,
    };
    const options = {
      node,
      flags: [
        ...['--models', JSON.stringify([{ id: 'bench', targets: [target] }])],
        ...['--leases.store', `valkey://127.0.0.1:${valkey.port}`],
        ...['--rate-limit.enabled', 'false', '--server.shutdown-grace-seconds', '0'],
      ],
    };
    const first = keep(await startExecutable(options));
    const load = new Load(first.url);
    keep(load);
    await load.answered(CONNECTIONS);
    const joining = spawnExecutable(options);
    keep(joining);
    const url = await listening(joining.logFile);
    const listensAt = performance.now();
    const answered = answeredBy(url).then(() => performance.now() - listensAt);
    const ready = readyAt(url).then(() => performance.now() - listensAt);
    return { readyMs: await ready, firstAnswerMs: await answered };
  });
}

/** Clients that ask again as soon as they are answered, until they are stopped. */
class Load {
  #answered = 0;
  #isStopped = false;
  #clients;

  constructor(url) {
    this.#clients = Array.from({ length: CONNECTIONS }, async () => {
      while (!this.#isStopped) {
        await ask(url).catch(() => delay(LOOK_EVERY_MS));
        this.#answered += 1;
      }
    });
  }

  async answered(count) {
    while (this.#answered < count) await delay(LOOK_EVERY_MS);
  }

  async stop() {
    this.#isStopped = true;
    await Promise.all(this.#clients);
  }
}

async function ask(url) {
  const { statusCode, body } = await request(`${url}/generate`, {
    method: 'POST',
    headers: HEADERS,
    body: BODY,
  });
  await body.dump();
  return statusCode;
}

/** One that is rejected while its target is looked for is asked again. */
async function answeredBy(url) {
  while ((await ask(url)) !== 200) await delay(LOOK_EVERY_MS);
}

async function readyAt(url) {
  for (;;) {
    const { statusCode, body } = await request(`${url}/ready`);
    await body.dump();
    if (statusCode === 200) return;
    await delay(LOOK_EVERY_MS);
  }
}

async function listening(logFile) {
  for (;;) {
    const url = / listens on (http:[^"\s]+)/.exec(readFileSync(logFile, 'utf8'))?.[1];
    if (url !== undefined) return url;
    await delay(LOOK_EVERY_MS);
  }
}
