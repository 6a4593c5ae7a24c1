/**
 * The faults of an upstream: what each puts on the wire of one generation, and what it is to become. `docs/reliability.md` shows the
 * same table with the counts of a run.
 */
import { gzipSync } from 'node:zlib';
import {
  bodyOf,
  during,
  type Fault,
  FRAMES_BEFORE,
  headersOf,
  lengthOf,
  plainHeaders,
  says,
  status,
  withInserted,
} from './fault.ts';
import { nextTurn, streamHeaders } from './response.ts';

const PAGE = '<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>\n';
const MEBIBYTE = Buffer.alloc(1024 * 1024, 'x');
/** Beyond what a line, an event or a whole answer may have. */
const ENDLESS_MEBIBYTES = 18;
/** Nobody reads so many. */
const ENDLESS_FRAMES = 20_000;

export const FAULTS = {
  'accept-and-hang': {
    title: 'The connection is accepted, and nothing comes',
    phase: 'before',
    causes: ['first_token_timeout'],
    code: 'backend_error',
    strike: () => {},
  },
  'reset-before-headers': {
    title: 'The connection is reset before the response',
    phase: 'before',
    causes: ['reset'],
    code: 'backend_error',
    strike: (response) => response.reset(),
  },
  'close-before-headers': {
    title: 'The connection is closed before the response',
    phase: 'before',
    causes: ['reset'],
    code: 'backend_error',
    strike: (response) => response.close(),
  },
  'reset-in-headers': {
    title: 'The connection is reset within the headers',
    phase: 'before',
    causes: ['reset', 'garbage'],
    code: 'backend_error',
    strike: async (response) => {
      response.raw('HTTP/1.1 200 OK\r\ncontent-type: appl');
      await response.reset();
    },
  },
  'hang-in-headers': {
    title: 'The headers stop in the middle',
    phase: 'before',
    causes: ['first_token_timeout'],
    code: 'backend_error',
    strike: (response) => response.raw('HTTP/1.1 200 OK\r\ncontent-type: appl'),
  },
  'hang-after-headers': {
    title: 'Nothing follows the headers',
    phase: 'before',
    causes: ['first_token_timeout'],
    code: 'backend_error',
    strike: (response, reply) => response.head(200, headersOf(reply)),
  },
  'comments-only': {
    title: 'A stream of comments, without an event',
    phase: 'before',
    causes: ['first_token_timeout'],
    code: 'backend_error',
    wire: 'openai-compatible',
    inStreamsOnly: true,
    strike: async (response, reply) => {
      response.head(200, headersOf(reply));
      await response.frames(Array.from({ length: 50 }, () => ': still here\n\n'));
    },
  },
  'status-301': status(301, 'a redirect', 'misconfigured', 'backend_error', {
    location: 'http://elsewhere/',
  }),
  'status-401': status(401, 'the key is rejected', 'misconfigured', 'backend_error'),
  'status-404-route': {
    title: 'Status 404, without a reason: the route is missing',
    phase: 'before',
    causes: ['misconfigured'],
    code: 'backend_error',
    strike: (response) => response.whole({ status: 404, body: '404 page not found' }),
  },
  'status-404-model': {
    title: 'Status 404: the model is missing',
    phase: 'before',
    causes: ['misconfigured'],
    code: 'model_not_found',
    strike: (response, _reply, { wire }) =>
      response.whole({
        status: 404,
        body: says(wire, 'The model `smollm2` does not exist.', 'NotFoundError'),
      }),
  },
  'status-408': status(408, 'the server waited too long', 'overloaded', 'no_backend_available'),
  'status-429': status(429, 'without Retry-After', 'rate_limited', 'upstream_rate_limited'),
  'status-429-retry-after': status(429, 'Retry-After: 1', 'rate_limited', 'upstream_rate_limited', {
    'retry-after': '1',
  }),
  'status-500': status(500, 'the server failed', 'server_error', 'backend_error'),
  'status-502-page': {
    title: 'Status 502 with a page of HTML',
    phase: 'before',
    causes: ['server_error'],
    code: 'backend_error',
    strike: (response) =>
      response.whole({ status: 502, headers: { 'content-type': 'text/html' }, body: PAGE }),
  },
  'status-503': status(503, 'without Retry-After', 'overloaded', 'no_backend_available'),
  'status-503-retry-after': status(503, 'Retry-After: 1', 'overloaded', 'no_backend_available', {
    'retry-after': '1',
  }),
  'status-504': status(504, 'a proxy gave up', 'server_error', 'backend_error'),
  'status-508': {
    ...status(508, 'a loop of servers', 'loop', 'loop_detected'),
    phase: 'rejected',
  },
  'status-529': status(529, 'overloaded', 'overloaded', 'no_backend_available'),
  'not-http': {
    title: 'Bytes that are not HTTP',
    phase: 'before',
    causes: ['garbage'],
    code: 'backend_error',
    strike: async (response) => {
      response.raw('SSH-2.0-OpenSSH_9.6\r\n');
      await response.close();
    },
  },
  'endless-header': {
    title: 'A header without end',
    phase: 'before',
    causes: ['garbage'],
    code: 'backend_error',
    strike: (response) => response.raw(`HTTP/1.1 200 OK\r\nx-long: ${MEBIBYTE.toString('latin1')}`),
  },
  page: {
    title: 'A page of HTML with status 200',
    phase: 'before',
    causes: ['garbage'],
    code: 'backend_error',
    strike: (response) =>
      response.whole({ status: 200, headers: { 'content-type': 'text/html' }, body: PAGE }),
  },
  'empty-body': {
    title: 'An empty body with status 200',
    phase: 'before',
    causes: ['garbage'],
    code: 'backend_error',
    strike: (response) => response.whole({ status: 200, body: '' }),
  },
  'gzip-unasked': {
    title: 'A compressed body that was not asked for',
    phase: 'before',
    causes: ['garbage'],
    code: 'backend_error',
    strike: (response, reply) => {
      const bytes = gzipSync(bodyOf(reply));
      response.head(200, { ...plainHeaders(reply), 'content-encoding': 'gzip', ...lengthOf(bytes.length) });
      response.raw(bytes);
    },
  },
  'error-in-200': {
    title: 'An error object with status 200',
    phase: 'before',
    causes: ['cut', 'server_error'],
    code: 'backend_error',
    strike: async (response, reply, { wire, serverError }) => {
      if (!('frames' in reply)) {
        response.whole({ status: 200, body: serverError });
        return;
      }
      response.head(200, headersOf(reply));
      await response.frames([wire === 'ollama' ? `${serverError}\n` : `data: ${serverError}\n\n`]);
      response.end();
    },
  },
  'reset-in-body': during('The connection is reset within the answer', ['cut'], (response) =>
    response.reset(),
  ),
  'close-in-body': during('The connection is closed within the answer', ['cut'], (response) =>
    response.close(),
  ),
  stall: during('The answer stops in the middle', ['stalled', 'first_token_timeout'], () => {}),
  'half-event': during(
    'The answer ends within an event',
    ['cut', 'garbage'],
    async (response, reply, { wire }) => {
      if (!('frames' in reply)) {
        await response.close();
        return;
      }
      await response.frames([
        wire === 'ollama' ? '{"model":"smollm2","mess' : 'data: {"id":"chatcmpl-1","choi',
      ]);
      response.end();
    },
  ),
  'bad-chunk-size': during('The framing of the body breaks', ['garbage', 'cut'], async (response) => {
    response.raw('zz\r\nnot a chunk\r\n');
    await response.close();
  }),
  'error-in-stream': during('An error event within the answer', ['cut'], async (response, reply) => {
    if ('frames' in reply) {
      await response.frames(reply.failure);
      response.end();
    } else await response.close();
  }),
  'ends-early': during('The answer ends without its last event', ['cut'], async (response, reply) => {
    if ('frames' in reply) response.end();
    else await response.close();
  }),
  'length-too-long': {
    title: 'Fewer bytes than Content-Length says, then the connection is closed',
    phase: 'during',
    causes: ['cut', 'garbage'],
    code: 'backend_error',
    strike: async (response, reply) => {
      const body = bodyOf(reply);
      response.head(200, { ...plainHeaders(reply), ...lengthOf(body.length) });
      response.raw(body.subarray(0, body.length / 2));
      await response.close();
    },
  },
  'length-too-short': {
    title: 'More bytes than Content-Length says',
    phase: 'during',
    causes: ['cut', 'garbage'],
    code: 'backend_error',
    strike: (response, reply) => {
      const body = bodyOf(reply);
      response.head(200, { ...plainHeaders(reply), ...lengthOf(Math.floor(body.length / 2)) });
      response.raw(body);
    },
  },
  'endless-line': {
    title: 'A line, event or body without end',
    phase: 'during',
    causes: ['garbage'],
    code: 'backend_error',
    isHeavy: true,
    strike: async (response, reply) => {
      response.head(200, { ...plainHeaders(reply), 'transfer-encoding': 'chunked' });
      if ('frames' in reply) await response.frames([...reply.frames.slice(0, FRAMES_BEFORE), 'data: ']);
      await response.frames(Array.from({ length: ENDLESS_MEBIBYTES }, () => MEBIBYTE));
    },
  },
  'endless-stream': {
    title: 'A stream that ignores max_tokens and never ends',
    phase: 'harmless',
    causes: [],
    isOther: true,
    inStreamsOnly: true,
    strike: async (response, reply) => {
      if (!('frames' in reply)) return response.send(reply);
      const [first = '', ...others] = reply.frames;
      const word = others[1] ?? first;
      response.head(200, streamHeaders(reply));
      await response.frames([first, ...Array.from({ length: ENDLESS_FRAMES }, () => word)]);
    },
  },
  'malformed-event': {
    title: 'An event that may have held text is malformed',
    phase: 'during',
    causes: ['garbage'],
    code: 'backend_error',
    inStreamsOnly: true,
    strike: (response, reply, { wire }) =>
      withInserted(
        response,
        reply,
        wire === 'ollama' ? '{"model":"smollm2","mess\n' : 'data: {"id":"cmpl-1","choi\n\n',
      ),
  },
  'foreign-event': {
    title: 'An event that is no JSON and cannot have held text',
    phase: 'harmless',
    causes: [],
    wire: 'openai-compatible',
    inStreamsOnly: true,
    strike: (response, reply) => withInserted(response, reply, 'data: ping\n\n'),
  },
  'no-done': {
    title: 'No [DONE] after the finish reason',
    phase: 'harmless',
    causes: [],
    wire: 'openai-compatible',
    inStreamsOnly: true,
    strike: async (response, reply) => {
      if (!('frames' in reply)) return response.send(reply);
      await response.send({ ...reply, ending: reply.ending.filter((frame) => !frame.includes('[DONE]')) });
    },
  },
  'no-usage': {
    title: 'No usage',
    phase: 'harmless',
    causes: [],
    wire: 'openai-compatible',
    isOther: true,
    strike: async (response, reply) => {
      if ('frames' in reply) {
        await response.send({ ...reply, ending: ['data: [DONE]\n\n'] });
        return;
      }
      const { usage: _, ...body } = JSON.parse(reply.body) as Record<string, unknown>;
      response.whole({ ...reply, body: JSON.stringify(body) });
    },
  },
  'one-byte-at-a-time': {
    title: 'One byte at a time',
    phase: 'harmless',
    causes: [],
    strike: async (response, reply) => {
      const body = bodyOf(reply);
      response.head(200, { ...plainHeaders(reply), ...lengthOf(body.length) });
      for (const byte of body) {
        response.raw(Buffer.of(byte));
        if (byte < 0x30) await nextTurn();
      }
      response.complete();
    },
  },
  'early-hints': {
    title: 'Informational responses before the answer',
    phase: 'harmless',
    causes: [],
    strike: async (response, reply) => {
      response.raw('HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n');
      await response.send(reply);
    },
  },
  'status-400': {
    title: 'Status 400: the request is rejected',
    phase: 'rejected',
    causes: [],
    code: 'invalid_request',
    strike: (response, _reply, { wire }) =>
      response.whole({
        status: 400,
        body: says(wire, 'temperature must be non-negative', 'BadRequestError'),
      }),
  },
  'context-error': {
    title: 'The prompt does not fit into the context',
    phase: 'before',
    causes: ['context_too_small'],
    code: 'context_length_exceeded',
    strike: (response, _reply, { wire }) => {
      const message =
        wire === 'ollama'
          ? 'the input length exceeds the context length'
          : "This model's maximum context length is 2048 tokens. However, you requested 3000 tokens (2984 in the messages, 16 in the completion). Please reduce the length of the messages or completion.";
      response.whole({ status: 400, body: says(wire, message, 'BadRequestError') });
    },
  },
  'content-filter': {
    title: 'A content filter refuses the request',
    phase: 'rejected',
    causes: [],
    code: 'content_filtered',
    wire: 'openai-compatible',
    strike: (response) => {
      const message =
        "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.";
      const error = { message, type: null, param: 'prompt', code: 'content_filter', status: 400 };
      response.whole({ status: 400, body: JSON.stringify({ error }) });
    },
  },
} as const satisfies Record<string, Fault>;

export type FaultName = keyof typeof FAULTS;

export const FAULT_NAMES = Object.keys(FAULTS) as readonly FaultName[];

export function faultOf(name: FaultName): Fault {
  return FAULTS[name];
}
