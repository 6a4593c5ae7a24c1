/** Asks a server that has not answered again and again until it does. All who wait share the asking. */
import { callApi } from '../api/request.ts';
import { announcement, serverGone } from './chat-state.ts';

const FIRST_PAUSE_MS = 400;
const LONGEST_PAUSE_MS = 4_000;

let watching: Promise<void> | undefined;

/** Resolves when it answers, or when `signal` aborts. */
export async function serverIsBack(signal: AbortSignal): Promise<void> {
  watching ??= watch().finally(() => {
    watching = undefined;
  });
  await Promise.race([
    watching,
    new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve())),
  ]);
}

async function watch(): Promise<void> {
  if (await answers()) return;
  serverGone.set({ since: Date.now() });
  announcement.set('The server does not answer.');
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 1.5, LONGEST_PAUSE_MS)) {
    await new Promise((resolve) => setTimeout(resolve, pause));
    if (await answers()) break;
  }
  serverGone.set(undefined);
  announcement.set('The server is back.');
}

async function answers(): Promise<boolean> {
  try {
    // Also while it loads a model it is there, and says so to what is asked of it.
    await callApi('health', { quiet: true });
    return true;
  } catch {
    return false;
  }
}
