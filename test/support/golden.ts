/**
 * Golden transcripts: text files of requests and the exact answers to them. Pure: reads and writes the text, and
 * masks what differs from run to run. The format is described in test/golden/README.md.
 */
import type { RawAnswer } from './http-client.ts';
import { scripted } from './scripted-server.ts';

export interface GoldenFile {
  readonly title: string;
  readonly setup: GoldenSetup;
  readonly exchanges: readonly GoldenExchange[];
}

export interface GoldenSetup {
  /** Flags of a server of this file's own. */
  readonly config: readonly string[];
  /** The models of its server, as JSON; absent: one scripted target. */
  readonly models: string | undefined;
  /** Keys of the scripted target. */
  readonly target: Readonly<Record<string, unknown>>;
  /** Requests that are under way meanwhile and never end. */
  readonly busy: number;
  /** The server is told to end before the requests, and finishes what is under way. */
  readonly drains: boolean;
  /** The request is repeated until its answer contains this. */
  readonly until: string | undefined;
}

export interface GoldenExchange {
  /** As it stands in the file. */
  readonly request: string;
  readonly answer: string;
}

const SEPARATOR = '\n---\n';
const NEXT = '\n###\n';

export function readGolden(text: string): GoldenFile {
  const lines = text.split('\n');
  const headLength = lengthOfHead(lines);
  const [title = '', ...directives] = lines.slice(0, headLength).map((line) => line.slice(2));
  const exchanges = lines
    .slice(headLength)
    .join('\n')
    // The newline that ends the file belongs to no answer; any before it does.
    .replace(/\n$/, '')
    .split(NEXT)
    .map((part) => {
      // A case that was never answered ends with the separator.
      const [request = '', ...answer] = `${part}\n`.split(SEPARATOR);
      return { request, answer: answer.join(SEPARATOR).slice(0, -1) };
    });
  return { title, setup: readSetup(directives), exchanges };
}

export function writeGolden(original: string, exchanges: readonly GoldenExchange[]): string {
  const lines = original.split('\n');
  const head = lines.slice(0, lengthOfHead(lines));
  const parts = exchanges.map(({ request, answer }) => `${request}${SEPARATOR}${answer}`);
  return `${[...head, parts.join(NEXT)].join('\n')}\n`;
}

function lengthOfHead(lines: readonly string[]): number {
  return lines.findIndex((line) => !line.startsWith('# '));
}

function readSetup(directives: readonly string[]): GoldenSetup {
  const given = new Map(
    directives.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]),
  );
  for (const name of given.keys()) {
    if (!['config', 'models', 'target', 'busy', 'drains', 'until'].includes(name))
      throw new Error(`the golden directive "${name}" is not known`);
  }
  return {
    config: given.get('config')?.split(' ') ?? [],
    models: given.get('models'),
    target: JSON.parse(given.get('target') ?? '{}'),
    busy: Number(given.get('busy') ?? 0),
    drains: given.get('drains') === 'true',
    until: given.get('until'),
  };
}

/**
 * The bytes to send: the head as written, with Host, Content-Type, Content-Length and Connection where it has none.
 * A line `Script: {…}` is no header: it goes in front of the prompt, the input or the last message or turn of the user
 * (its first text part), where the scripted backend finds it.
 */
export function requestBytes(request: string, port: number): Buffer {
  const blank = request.indexOf('\n\n');
  const [requestLine = '', ...lines] = (blank === -1 ? request : request.slice(0, blank)).split('\n');
  const script = lines.find((line) => line.startsWith(SCRIPT))?.slice(SCRIPT.length);
  const headers = lines.filter((line) => !line.startsWith(SCRIPT));
  const body = blank === -1 ? '' : withScript(expand(request.slice(blank + 2)), script);
  const has = (name: string) => headers.some((line) => line.toLowerCase().startsWith(`${name}:`));
  const added = [
    ...(has('host') ? [] : [`Host: 127.0.0.1:${port}`]),
    ...(body === '' || has('content-type') ? [] : ['Content-Type: application/json']),
    ...(body === '' || has('content-length') ? [] : [`Content-Length: ${Buffer.byteLength(body)}`]),
    'Connection: close',
  ];
  return Buffer.from(`${[`${requestLine} HTTP/1.1`, ...headers, ...added].join('\r\n')}\r\n\r\n${body}`);
}

const SCRIPT = 'Script: ';

interface ScriptableBody {
  readonly prompt?: string;
  readonly input?: string | readonly ScriptableItem[];
  readonly messages?: readonly { readonly content: string | readonly ScriptablePart[] }[];
}

interface ScriptableItem {
  readonly role?: string;
  readonly content?: string | readonly ScriptablePart[];
  readonly output?: string;
}

interface ScriptablePart {
  readonly text?: string;
  /** Of the result of a tool. */
  readonly content?: string;
}

function withScript(body: string, script: string | undefined): string {
  if (script === undefined) return body;
  const fields = JSON.parse(body) as ScriptableBody;
  const before = (text = '') => scripted(JSON.parse(script), text);
  const last = fields.messages?.at(-1);
  const beforePart = (part: ScriptablePart): ScriptablePart =>
    part.content === undefined
      ? { ...part, text: before(part.text) }
      : { ...part, content: before(part.content) };
  const beforeContent = (content: string | readonly ScriptablePart[]) =>
    typeof content === 'string'
      ? before(content)
      : content.map((part, index) => (index === 0 ? beforePart(part) : part));
  if (typeof fields.input === 'string') return JSON.stringify({ ...fields, input: before(fields.input) });
  if (fields.input !== undefined) {
    const at = startOfLastTurn(fields.input);
    const item = fields.input[at] ?? {};
    const scriptedItem =
      item.content === undefined
        ? { ...item, output: before(item.output) }
        : { ...item, content: beforeContent(item.content) };
    return JSON.stringify({ ...fields, input: fields.input.with(at, scriptedItem) });
  }
  if (last === undefined) return JSON.stringify({ ...fields, prompt: before(fields.prompt) });
  const scriptedLast = { ...last, content: beforeContent(last.content) };
  return JSON.stringify({ ...fields, messages: [...(fields.messages ?? []).slice(0, -1), scriptedLast] });
}

/** Messages of the user in a row are one. */
function startOfLastTurn(input: readonly ScriptableItem[]): number {
  const spoken = input.findLastIndex(({ role }) => role !== 'user');
  return Math.min(spoken + 1, input.length - 1);
}

/** `{word*20}` in a body is that word twenty times, so that a long prompt stays readable. */
function expand(body: string): string {
  return body.replace(/\{(\w+)\*(\d+)\}/g, (_, word: string, times: string) =>
    Array.from({ length: Number(times) }, () => word).join(' '),
  );
}

/** What every answer has: shown where one has it not. */
const EVERYWHERE = ['x-content-type-options: nosniff', 'cross-origin-resource-policy: same-origin'];
/** These, and what Node adds to every answer by itself. */
const NOT_SHOWN = new Set([
  ...['connection', 'date', 'keep-alive', 'transfer-encoding'],
  ...EVERYWHERE.map((line) => line.slice(0, line.indexOf(':'))),
]);

export function renderAnswer(
  answer: RawAnswer,
  { busy, config }: Pick<GoldenSetup, 'busy' | 'config'>,
): string {
  const setAt = config.indexOf('--rate-limit.window-seconds');
  const windowSeconds = setAt < 0 ? SHORTEST_LIMIT_SECONDS : Number(config[setAt + 1]);
  const body = wholeWindow(maskBody(answer.body), windowSeconds);
  const headers = answer.headers
    .filter(([name]) => !NOT_SHOWN.has(name.toLowerCase()))
    .map(
      ([name, value]) =>
        `${name}: ${maskHeader(name.toLowerCase(), COUNTS_DOWN.has(name.toLowerCase()) ? wholeWindow(value, windowSeconds) : value, { bodyIsShown: body === answer.body && body !== '', busy })}`,
    );
  const present = new Set(answer.headers.map(([name, value]) => `${name}: ${value}`));
  const missing = EVERYWHERE.filter((line) => !present.has(line)).map((line) => `(missing) ${line}`);
  const head = [answer.statusLine, ...headers, ...missing].join('\n');
  return body === '' ? head : `${head}\n\n${body}`;
}

/** `limits` have windows of a minute, an hour and a day. */
const SHORTEST_LIMIT_SECONDS = 60;
const COUNTS_DOWN = new Set(['ratelimit', 'retry-after']);

/** What has passed of the limiter's window since an earlier request of the transcript, up to half of it, is not shown. */
function wholeWindow(text: string, windowSeconds: number): string {
  return text.replace(/(t=|Retry in |^)(\d+)\b/g, (shown, before: string, seconds: string) => {
    const isLeft = Number(seconds) <= windowSeconds && Number(seconds) > windowSeconds / 2;
    return isLeft ? `${before}${windowSeconds}` : shown;
  });
}

function maskHeader(
  name: string,
  value: string,
  { bodyIsShown, busy }: { readonly bodyIsShown: boolean; readonly busy: number },
): string {
  switch (name) {
    case 'retry-after':
      // The predicted wait grows while those under way make no progress.
      return busy > 0 && /^[1-9]\d*$/.test(value) ? '<seconds>' : value;
    case 'x-response-time-ms':
      return /^\d+\.\d\d$/.test(value) ? '<milliseconds>' : value;
    case 'x-ratelimit-reset':
      return /^\d{10}$/.test(value) ? '<epoch-seconds>' : value;
    case 'x-ratelimit-reset-requests':
    case 'x-ratelimit-reset-tokens':
      return /^(\d+h)?(\d+m)?\d+(\.\d+)?s$/.test(value) && value !== '0s' ? '<duration>' : value;
    case 'anthropic-ratelimit-requests-reset':
    case 'anthropic-ratelimit-tokens-reset':
      return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(value) ? '<time>' : value;
    case 'server-timing':
      return value.replace(/;dur=\d+\.\d\d(?=,|$)/g, ';dur=<milliseconds>');
    case 'content-length':
      return bodyIsShown || value === '0' ? value : '<bytes>';
    default:
      return maskIds(value);
  }
}

function maskIds(text: string): string {
  return text
    .replace(/\b([a-z]+)[-_](?:[0-9a-f]{24}|[0-9a-f]{16})\b/g, '<$1-id>')
    .replace(/\bsk-llm-[\w-]+/g, '<key>')
    .replace(/\bbatch_\d+\b/g, '<batch-id>');
}

/** How many heartbeats fit into a silence depends on the machine: of those in a row the first is shown. */
const HEARTBEATS_IN_A_ROW = [
  /^(:\n)\1+/gm,
  /^(event: ping\ndata: \{"type":"ping"\}\n\n)\1+/gm,
  /^(\{[^\n]*"content":""\},"done":false\}\n)\1+/gm,
];

function maskBody(body: string): string {
  return HEARTBEATS_IN_A_ROW.reduce(
    (shown, heartbeats) => shown.replace(heartbeats, '$1'),
    maskVariables(body),
  );
}

function maskVariables(body: string): string {
  return (
    maskIds(body)
      .replace(
        /"(queue|upstream|ttft|generate|gateway|total|waited|running|expires_in)_ms":\d+(\.\d\d?)?/g,
        '"$1_ms":<ms>',
      )
      // The engine's own words, which differ between releases.
      .replace(/(The body is not valid JSON: )(?:[^"\\]|\\.)*/, '$1<reason>')
      .replace(/"uptime_seconds":\d+/, '"uptime_seconds":<seconds>')
      .replace(/"(created|created_at|completed_at)":\d{10}\b/g, '"$1":<epoch-seconds>')
      .replace(/"(\w+_at|overlap_until)":"\d{4}-\d\d-\d\dT[\d:.]+Z"/g, '"$1":"<time>"')
      .replace(/"(from|to)":"\d{4}-\d\d-\d\dT[\d:.]+Z"/g, '"$1":"<time>"')
      .replace(/"slot_seconds":\d+(\.\d+)?/g, '"slot_seconds":<seconds>')
      .replace(/"(\w+_duration)":\d+/g, '"$1":<nanoseconds>')
      .replace(/"at":"\d{4}-\d\d-\d\dT[\d:.]+Z"/g, '"at":"<time>"')
      .replace(/"version":"\d+\.\d+\.\d+"/g, '"version":"<version>"')
  );
}
