/** How a stream of any protocol may end: well, or with an error; and never with anything after that. */

/** What the last piece of a stream says, in whatever protocol. */
function isEnd(piece: string): boolean {
  if (piece === '[DONE]') return true;
  const fields = JSON.parse(piece) as Readonly<Record<string, unknown>>;
  const type = typeof fields.type === 'string' ? fields.type : '';
  return 'error' in fields && fields.error !== null
    ? type === '' || type === 'error'
    : ENDS.has(type) || fields.done === true || fields.status === 'success';
}

const ENDS = new Set([
  'message_stop',
  'response.completed',
  'response.incomplete',
  'response.failed',
  'error',
]);

/** What is wrong with how a stream ends; undefined where nothing is. */
export function faultyEnd(contentType: string, body: string): string | undefined {
  const pieces = piecesOf(contentType, body);
  const ends = pieces.flatMap((piece, index) => (isEnd(piece) ? [index] : []));
  if (ends.length === 0) return 'it ends without an end';
  if (ends.length > 1) return 'it ends more than once';
  return ends[0] === pieces.length - 1 ? undefined : 'something comes after its end';
}

function piecesOf(contentType: string, body: string): string[] {
  const lines = body.split('\n').filter((line) => line !== '');
  if (contentType === 'application/x-ndjson') return lines;
  return lines.filter((line) => line.startsWith('data: ')).map((line) => line.slice('data: '.length));
}
