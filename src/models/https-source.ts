/** Reads a model file over HTTPS: redirects followed, the environment's proxy honoured, a silent server given up. */
import { EnvHttpProxyAgent, fetch } from 'undici';
import { Attempt } from './attempt.ts';
import type { SourceOptions } from './source-options.ts';

/** Yields the file's bytes. Throws an Error in words for people, or the caller's abort reason. */
export async function* readHttps(url: string, options: SourceOptions): AsyncGenerator<Uint8Array> {
  const attempt = new Attempt(options.signal, options.silenceMs);
  const dispatcher = new EnvHttpProxyAgent({ connectTimeout: options.silenceMs });
  try {
    const response = await fetch(url, {
      dispatcher,
      signal: attempt.signal,
      // Compression would hide the length and gains nothing on weights.
      headers: { 'accept-encoding': 'identity' },
    });
    if (!response.ok) throw new Error(`it answered with status ${response.status}`);
    const announced = Number(response.headers.get('content-length') ?? options.sizeBytes);
    if (announced !== options.sizeBytes) {
      throw new Error(`it offers ${announced} bytes where ${options.sizeBytes} were expected`);
    }
    if (response.body === null) throw new Error('it answered without a body');
    attempt.progressed();
    for await (const chunk of response.body) {
      attempt.progressed();
      yield chunk;
    }
  } catch (error) {
    attempt.signal.throwIfAborted();
    throw networkFailure(error);
  } finally {
    attempt.end();
    await dispatcher.destroy();
  }
}

/** `fetch` hides the reason in the cause: "fetch failed" tells nobody anything. */
function networkFailure(error: unknown): Error {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : undefined;
  if (cause === undefined) return error instanceof Error ? error : new Error(String(error));
  const code = (cause as NodeJS.ErrnoException).code;
  return new Error(cause.message || (code ?? 'the connection failed'), { cause: error });
}
