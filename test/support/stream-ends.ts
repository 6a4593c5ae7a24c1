/** How a stream of any protocol ends: well, or with an error; nothing may come after that. */

type End = 'success' | 'failure';

/** `response.failed` is none: an `error` follows it. */
const ENDS: ReadonlyMap<unknown, End> = new Map([
  ['message_stop', 'success'],
  ['response.completed', 'success'],
  ['response.incomplete', 'success'],
  ['error', 'failure'],
]);

/** Undefined where it has no end, or more than one, or goes on after it. */
export function streamEnd(contentType: string, body: string): End | undefined {
  const pieces = piecesOf(contentType, body);
  const ends = pieces.map(endIn);
  const isOnlyAtItsEnd = ends.findIndex((end) => end !== undefined) === pieces.length - 1;
  return isOnlyAtItsEnd ? ends.at(-1) : undefined;
}

/** What a piece says of the end, in whatever protocol. */
function endIn(piece: string): End | undefined {
  if (piece === '[DONE]') return 'success';
  const fields = JSON.parse(piece) as Readonly<Record<string, unknown>>;
  const named = ENDS.get(fields.type);
  if (named !== undefined) return named;
  if (fields.type === undefined && fields.error !== undefined && fields.error !== null) return 'failure';
  return fields.done === true || fields.status === 'success' ? 'success' : undefined;
}

function piecesOf(contentType: string, body: string): string[] {
  const lines = body.split('\n').filter((line) => line !== '');
  if (contentType === 'application/x-ndjson') return lines;
  return lines.filter((line) => line.startsWith('data: ')).map((line) => line.slice('data: '.length));
}
