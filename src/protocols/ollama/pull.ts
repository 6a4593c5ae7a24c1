/** POST /api/pull: downloads a model of the catalogue, where the configuration allows it, and reports the progress. */
import { Type } from 'typebox';
import { toServingError } from '../../core/errors.ts';
import { nullableBodyReader } from '../body-reader.ts';
import type { PullProgress, QueryContext, QueryRoute } from '../protocol.ts';
import { errorLine, OllamaError } from './answer.ts';
import { findRequired } from './model-name.ts';
import { nameIn, namingFields } from './models.ts';
import { NDJSON } from './render.ts';

const PullBody = Type.Object({
  ...namingFields,
  stream: Type.Optional(Type.Boolean({ description: 'Default: true, progress in lines of JSON.' })),
  insecure: Type.Optional(Type.Boolean({ description: 'Ignored: every download is checked.' })),
});

const read = nullableBodyReader(PullBody);

const status = {
  status: Type.String({ description: '"success" is the last one, and means success.' }),
};
const byteCount = Type.Optional(Type.Integer({ minimum: 0, description: 'Bytes.' }));

/** Of a file whose size is not known. */
const BYTES_BETWEEN_LINES = 16 * 1024 * 1024;

export const pullRoute: QueryRoute = {
  kind: 'query',
  method: 'POST',
  path: '/api/pull',
  limited: true,
  describes: {
    summary: 'Fetch a model, as Ollama does it',
    description:
      'A model that is served already needs no fetching: success at once. Any other is fetched into the cache, if it is in ' +
      'the catalogue and cache.allow_remote_pull is set; it is served when the configuration names it.',
    body: { schema: PullBody, examples: { 'A served model': { model: 'smollm2', stream: false } } },
    answers: {
      [NDJSON]: Type.Union([
        Type.Object({
          ...status,
          digest: Type.Optional(Type.String({ description: 'The file’s name: progress bars need one.' })),
          total: byteCount,
          completed: byteCount,
        }),
        OllamaError,
      ]),
      'application/json': Type.Object(status),
    },
  },
  answer: async ({ body }, context) => {
    const asked = read(body);
    const progress = isServed(nameIn(asked), context) ? NOTHING : findRequired(nameIn(asked), context.pull);
    if (asked.stream !== false) return { contentType: NDJSON, chunks: linesOf(progress) };
    for await (const _ of progress);
    return { status: 'success' };
  },
};

const NOTHING: AsyncIterable<PullProgress> = { async *[Symbol.asyncIterator]() {} };

function isServed(name: string, context: QueryContext): boolean {
  try {
    return findRequired(name, context.requireModel).targets.some(({ state }) => state !== 'not_found');
  } catch {
    return false;
  }
}

async function* linesOf(progress: AsyncIterable<PullProgress>): AsyncGenerator<string, void> {
  yield line({ status: 'pulling manifest' });
  let lastMark: string | undefined;
  try {
    for await (const { label, doneBytes, totalBytes } of progress) {
      const step =
        totalBytes > 0
          ? Math.floor((100 * doneBytes) / totalBytes)
          : Math.floor(doneBytes / BYTES_BETWEEN_LINES);
      const mark = `${label} ${step}`;
      if (mark === lastMark) continue;
      lastMark = mark;
      const total = totalBytes > 0 ? { total: totalBytes } : {};
      yield line({ status: `pulling ${label}`, digest: label, ...total, completed: doneBytes });
    }
  } catch (thrown) {
    yield errorLine(toServingError(thrown));
    return;
  }
  yield line({ status: 'success' });
}

function line(value: object): string {
  return `${JSON.stringify(value)}\n`;
}
