/** Output of another process, cut behind line breaks, so that what several processes write can go to one place without torn lines. */
import type { Readable } from 'node:stream';

/** `take` gets one or more lines, each with its line break; at the end of the stream also what has none. */
export function forEachBlockOfLines(stream: Readable, take: (lines: string) => void): void {
  /** Pieces of a line that has not ended. */
  let pieces: string[] = [];
  stream.setEncoding('utf8');
  stream.on('data', (text: string) => {
    const end = text.lastIndexOf('\n') + 1;
    if (end > 0) {
      take(pieces.join('') + text.slice(0, end));
      pieces = [];
    }
    if (end < text.length) pieces.push(text.slice(end));
  });
  stream.on('end', () => {
    if (pieces.length > 0) take(`${pieces.join('')}\n`);
    pieces = [];
  });
  // Its process is gone; that is reported by its end.
  stream.on('error', () => {});
}
