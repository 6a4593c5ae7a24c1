/**
 * Cuts what a process writes into lines for the log. Keeps the line that has no end yet. Invariant: no more of a line
 * is kept than a log entry can bear, however long it is.
 */
import type { Readable } from 'node:stream';

export const LONGEST_LINE_CHARACTERS = 2000;

export function forEachLine(stream: Readable, take: (line: string) => void): void {
  let line = '';
  let cut = false;
  const add = (piece: string) => {
    const room = LONGEST_LINE_CHARACTERS - line.length;
    cut ||= piece.length > room;
    line += piece.slice(0, room);
  };
  const end = () => {
    const whole = line.trimEnd();
    if (whole !== '') take(cut ? `${whole}…` : whole);
    line = '';
    cut = false;
  };
  stream.setEncoding('utf8');
  stream.on('data', (text: string) => {
    const [first = '', ...rest] = text.split('\n');
    add(first);
    for (const piece of rest) {
      end();
      add(piece);
    }
  });
  stream.on('end', end);
}
