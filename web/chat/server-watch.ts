/** Asks a server that has not answered again and again until it does. All who wait share the asking. */
import { asFailure } from '../api/failure.ts';
import { callApi } from '../api/request.ts';
import { announcement, serverGone } from './chat-state.ts';

const FIRST_PAUSE_MS = 400;
const LONGEST_PAUSE_MS = 4_000;
/** It answers this at once, also with work to do. */
const HEALTH_WITHIN_MS = 5_000;

class ServerWatch {
  #watching: Promise<boolean> | undefined;

  /** Resolves when it answers, with whether it had not for a while; or when `signal` aborts, with false. */
  async isBack(signal: AbortSignal): Promise<boolean> {
    this.#watching ??= watch().finally(() => {
      this.#watching = undefined;
    });
    return Promise.race([
      this.#watching,
      new Promise<boolean>((resolve) => {
        if (signal.aborted) resolve(false);
        signal.addEventListener('abort', () => resolve(false), { once: true });
      }),
    ]);
  }
}

const serverWatch = new ServerWatch();

export const serverIsBack = (signal: AbortSignal): Promise<boolean> => serverWatch.isBack(signal);

async function watch(): Promise<boolean> {
  if (await serverAnswers()) return false;
  serverGone.set(true);
  announcement.set('The server does not answer.');
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 1.5, LONGEST_PAUSE_MS)) {
    await new Promise((resolve) => setTimeout(resolve, pause));
    if (await serverAnswers()) break;
  }
  serverGone.set(false);
  announcement.set('The server is back.');
  return true;
}

/** Asked once. */
export async function serverAnswers(): Promise<boolean> {
  try {
    // Also while it loads a model it is there, and says so to what is asked of it.
    await callApi('health', { quiet: true, silenceMs: HEALTH_WITHIN_MS });
    return true;
  } catch (thrown) {
    // A refusal is an answer, unless it is one of a server that is going.
    const { status } = asFailure(thrown);
    return status >= 400 && status < 500;
  }
}
