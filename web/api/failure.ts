/** What went wrong with a request, in words, and what to do about it. Pure. */

export interface FailureFacts {
  /** 0: the server did not answer. */
  readonly status: number;
  /** Of the error catalogue; `unreachable` and `connection_lost` are the page's own. */
  readonly code: string;
  /** The server's words. */
  readonly message: string;
  readonly retryAfterSeconds?: number | undefined;
  readonly requestId?: string | undefined;
  /** The field at fault. */
  readonly param?: string | undefined;
  /** Of a proxy that answered because it did not reach the server, where `status` is 0. */
  readonly proxyStatus?: number | undefined;
}

export class ApiFailure extends Error implements FailureFacts {
  readonly status: number;
  readonly code: string;
  readonly retryAfterSeconds: number | undefined;
  readonly requestId: string | undefined;
  readonly param: string | undefined;
  readonly proxyStatus: number | undefined;

  constructor({ status, code, message, retryAfterSeconds, requestId, param, proxyStatus }: FailureFacts) {
    super(message);
    this.name = 'ApiFailure';
    this.status = status;
    this.code = code;
    this.retryAfterSeconds = retryAfterSeconds;
    this.requestId = requestId;
    this.param = param;
    this.proxyStatus = proxyStatus;
  }
}

/** Reads an error answer in any of the protocols' shapes; what is none of them gets words by its status. A proxy's 502, for a server that it does not reach, is `unreachable`. */
export function failureOf(
  status: number,
  body: unknown,
  headers: { get(name: string): string | null } = NO_HEADERS,
): ApiFailure {
  const error = isObject(body) ? body.error : undefined;
  // This server's own refusals have an `error`.
  if (error === undefined && status === 502) return unreachable(status);
  const fields = isObject(error) ? error : {};
  const message = typeof error === 'string' ? error : fields.message;
  const code = fields.code ?? fields.type;
  const seconds = Number(headers.get('retry-after') ?? Number.NaN);
  return new ApiFailure({
    status,
    code: typeof code === 'string' ? code : `http_${status}`,
    message: typeof message === 'string' && message !== '' ? message : wordsFor(status),
    retryAfterSeconds: Number.isFinite(seconds) ? seconds : undefined,
    requestId: headers.get('x-request-id') ?? undefined,
    param: typeof fields.param === 'string' ? fields.param : undefined,
  });
}

function wordsFor(status: number): string {
  return PROXY_WORDS[status] ?? `The server answered ${status}.`;
}

/** Of answers without an `error`. After a 504 the request has reached the server, after a 503 it may have. */
const PROXY_WORDS: Readonly<Record<number, string>> = {
  503: 'A proxy before the server answered 503.',
  504: 'A proxy before the server waited no longer for its answer (504).',
};

/** The server may be gone, for all that this failure tells. */
export function mayBeGone({ status, code }: FailureFacts): boolean {
  return status === 0 || code === 'http_503' || code === 'http_504';
}

export const unreachable = (proxyStatus?: number) =>
  new ApiFailure({ status: 0, code: 'unreachable', message: 'The server does not answer.', proxyStatus });

export const connectionLost = () =>
  new ApiFailure({
    status: 0,
    code: 'connection_lost',
    message: 'The connection was lost before the answer was complete.',
  });

/** Whatever was thrown. */
export function asFailure(thrown: unknown): ApiFailure {
  if (thrown instanceof ApiFailure) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new ApiFailure({ status: 0, code: 'page_error', message });
}

/** What the person can do; empty where the message says it all. */
export function adviceFor({ code, status, retryAfterSeconds }: FailureFacts): string {
  const wait = retryAfterSeconds === undefined ? 'in a moment' : `in ${inWords(retryAfterSeconds)}`;
  if (code === 'unreachable') return 'Is it running? The page keeps asking, and your text stays here.';
  if (code === 'connection_lost') return 'What has arrived is kept. Regenerate to ask again.';
  const byCode = ADVICE[code];
  if (byCode !== undefined) return byCode;
  if (status === 429 || status === 503) return `Try again ${wait}.`;
  if (status === 401) return 'Enter a valid API key.';
  if (status >= 500) return 'Try again. If it stays, look at the server’s log.';
  return '';
}

const ADVICE: Readonly<Record<string, string>> = {
  no_answer:
    'Regenerate to ask again. If it stays, look at the log of the server, or of the proxy before it.',
  http_504:
    'The question was not sent again, as the server has it. Ask for less at once, or let the proxy wait longer.',
  context_length_exceeded: 'Start a new conversation, remove earlier messages, or lower max tokens.',
  model_not_found: 'Choose another model.',
  unsupported_parameter: 'Remove it under Settings, or choose another model.',
  payload_too_large: 'Send less text or smaller images.',
};

function inWords(seconds: number): string {
  if (seconds < 1) return 'a moment';
  if (seconds < 90) return `${Math.ceil(seconds)} second${Math.ceil(seconds) === 1 ? '' : 's'}`;
  return `${Math.ceil(seconds / 60)} minutes`;
}

const NO_HEADERS = { get: () => null };

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
