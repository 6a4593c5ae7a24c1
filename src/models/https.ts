/**
 * A model file over HTTPS: follows redirects, uses the environment's proxy, fails when the server sends nothing, and
 * resumes a download where the server supports ranges and its file has not changed.
 */
import { type Dispatcher, EnvHttpProxyAgent, request } from 'undici';
import { type DownloadOptions, IdleTimeout, type Receive, type ResumePoint } from './download.ts';

interface FinalResponse {
  readonly response: Dispatcher.ResponseData;
  /** The hub sends both in its own response, before it redirects to the storage. */
  readonly sha256: string | undefined;
  readonly sizeBytes: number | undefined;
}

const MAX_REDIRECTS = 10;
const UNREACHABLE =
  /^(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ENETUNREACH|EHOSTUNREACH|ETIMEDOUT|UND_ERR_CONNECT_TIMEOUT)$/;

/** Throws an Error in words for people, the caller's abort reason, or what `receive` throws. */
export async function downloadHttps<Result>(
  url: string,
  options: DownloadOptions,
  receive: Receive<Result>,
): Promise<Result> {
  const idle = new IdleTimeout(options.signal, options.idleTimeoutMs);
  const dispatcher = new EnvHttpProxyAgent({ connectTimeout: options.idleTimeoutMs });
  try {
    const { resume } = options;
    let final = await followRedirects(url, { dispatcher, idle, resume });
    if (resume !== undefined && !canResume(final, resume)) {
      await final.response.body.dump();
      final = await followRedirects(url, { dispatcher, idle, resume: undefined });
    }
    const { response } = final;
    rejectStatus(response);
    return await receive({
      startByte: response.statusCode === 206 ? (resume?.fromByte ?? 0) : 0,
      sizeBytes: final.sizeBytes ?? wholeSize(response),
      sha256: final.sha256,
      validator: strongValidator(response),
      bytes: resetting(response.body, idle),
    });
  } catch (error) {
    idle.signal.throwIfAborted();
    throw networkError(error);
  } finally {
    idle.end();
    await dispatcher.destroy();
  }
}

async function followRedirects(
  url: string,
  by: {
    readonly dispatcher: Dispatcher;
    readonly idle: IdleTimeout;
    readonly resume: ResumePoint | undefined;
  },
): Promise<FinalResponse> {
  let address = new URL(url);
  let sha256: string | undefined;
  let sizeBytes: number | undefined;
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects += 1) {
    const response = await request(address, {
      dispatcher: by.dispatcher,
      signal: by.idle.signal,
      headers: requestHeaders(by.resume),
    });
    by.idle.reset();
    sha256 ??= /^(?:W\/)?"?([0-9a-f]{64})"?$/i
      .exec(header(response, 'x-linked-etag') ?? '')?.[1]
      ?.toLowerCase();
    sizeBytes ??= byteCount(header(response, 'x-linked-size'));
    const location = header(response, 'location');
    if (location === undefined || response.statusCode < 300 || response.statusCode > 399) {
      return { response, sha256, sizeBytes };
    }
    await response.body.dump();
    const next = new URL(location, address);
    if (address.protocol === 'https:' && next.protocol !== 'https:')
      throw new Error(`the server redirects to ${next.protocol}//${next.host}, which is not encrypted`);
    address = next;
  }
  throw new Error(`the server redirects more than ${MAX_REDIRECTS} times`);
}

function requestHeaders(resume: ResumePoint | undefined): Record<string, string> {
  return {
    'user-agent': 'llm-serve',
    // Compression would hide the length and gains nothing on weights.
    'accept-encoding': 'identity',
    ...(resume === undefined ? {} : { range: `bytes=${resume.fromByte}-` }),
    ...(resume?.validator === undefined ? {} : { 'if-range': resume.validator }),
  };
}

/** Whether the response can be used with the partial file: the rest of the same file, or the whole file. */
function canResume({ response, sha256 }: FinalResponse, resume: ResumePoint): boolean {
  if (response.statusCode === 416) return false;
  if (response.statusCode !== 206) return true;
  if (sha256 !== undefined && resume.sha256 !== undefined && sha256 !== resume.sha256) return false;
  const validator = strongValidator(response);
  const changed = validator !== undefined && resume.validator !== undefined && validator !== resume.validator;
  return !changed && contentRange(response)?.start === resume.fromByte;
}

function rejectStatus(response: Dispatcher.ResponseData): void {
  const { statusCode } = response;
  const encoding = header(response, 'content-encoding');
  if (encoding !== undefined && encoding !== 'identity')
    throw new Error(`the server sent the file with content-encoding ${encoding}`);
  if (statusCode === 200 || statusCode === 206) return;
  const meaning: Readonly<Record<number, string>> = {
    401: ': the file does not exist, or requires signing in',
    403: ': access is denied; the model may require accepting its licence',
    404: ': the file does not exist',
    429: ': too many requests; try again later',
  };
  throw new Error(`the server answered with status ${statusCode}${meaning[statusCode] ?? ''}`);
}

async function* resetting(body: AsyncIterable<Uint8Array>, idle: IdleTimeout): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) {
    idle.reset();
    yield chunk;
  }
}

function wholeSize(response: Dispatcher.ResponseData): number | undefined {
  return response.statusCode === 206
    ? contentRange(response)?.total
    : byteCount(header(response, 'content-length'));
}

function contentRange(response: Dispatcher.ResponseData): { start: number; total?: number } | undefined {
  const found = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(header(response, 'content-range') ?? '');
  if (found === null) return undefined;
  const total = byteCount(found[2]);
  return total === undefined ? { start: Number(found[1]) } : { start: Number(found[1]), total };
}

function strongValidator(response: Dispatcher.ResponseData): string | undefined {
  const etag = header(response, 'etag');
  return etag?.startsWith('"') ? etag : header(response, 'last-modified');
}

function byteCount(text: string | undefined): number | undefined {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}

function header(response: Dispatcher.ResponseData, name: string): string | undefined {
  const value = response.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

/** Where every address of a host fails, the first error is taken. */
function networkError(error: unknown): Error {
  if (!(error instanceof Error)) return new Error(String(error));
  const first = error instanceof AggregateError ? (error.errors[0] as Error) : error;
  const code = (first as NodeJS.ErrnoException).code ?? '';
  if (UNREACHABLE.test(code))
    return new Error(`the server cannot be reached (${first.message || code})`, { cause: error });
  return first.message === '' ? new Error(code || 'the connection failed', { cause: error }) : first;
}
