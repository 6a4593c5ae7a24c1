/** What commands write to a terminal beside text, and how they end there. */
import { cutToWidth } from '../core/text-columns.ts';

/** Of a program that SIGINT ended. */
export const EXIT_INTERRUPTED = 130;

/** To the beginning of the line, which is empty then. */
export const CLEAR_LINE = '\r\u001b[K';
export const CLEAR_TO_END_OF_LINE = '\u001b[K';
/** What is below the cursor, and the rest of its line. */
export const CLEAR_BELOW = '\u001b[J';
export const CLEAR_SCREEN = '\u001b[2J';
export const CURSOR_HOME = '\u001b[H';

const USUAL_COLUMNS = 80;

/** A line that is written over by the next one must not wrap: nothing clears what it leaves in the line above. */
export function fitting(line: string, { columns = USUAL_COLUMNS }: { readonly columns?: number }): string {
  return cutToWidth(line, columns - 1);
}
