/** Text for terminals: how many columns it takes, cut to fit, and tables. Pure. The text holds no control characters. */

/** Two columns each: East Asian letters and signs, fullwidth forms, emoji. */
const WIDE =
  /[\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Bopomofo}\p{Script=Yi}\p{Emoji_Presentation}\u3000-\u303e\uff01-\uff60\uffe0-\uffe6]/u;
/** An emoji only by what follows it, such as the heart with its variation selector. */
const MADE_WIDE = /\ufe0f/;
/** None: they change the letter before them, or are not shown. */
const ZERO_WIDTH = /^[\p{Mn}\p{Me}\p{Cf}]*$/u;
/** Of one column each, also the signs that belong to the letter before them. */
const HALFWIDTH_KATAKANA = /^[\uff61-\uff9f]+$/;
const NARROW_ONLY = /^[\x20-\x7e]*$/;
const ELLIPSIS = '…';

const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

/** In columns. */
export function textWidth(text: string): number {
  if (NARROW_ONLY.test(text)) return text.length;
  let columns = 0;
  for (const { segment } of graphemes.segment(text)) columns += graphemeWidth(segment);
  return columns;
}

function graphemeWidth(grapheme: string): number {
  if (ZERO_WIDTH.test(grapheme)) return 0;
  if (HALFWIDTH_KATAKANA.test(grapheme)) return grapheme.length;
  return WIDE.test(grapheme) || MADE_WIDE.test(grapheme) ? 2 : 1;
}

/** One line; where something is left out, an ellipsis is its end. */
export function cutToWidth(line: string, columns: number): string {
  if (textWidth(line) <= columns) return line;
  let left = columns - ELLIPSIS.length;
  let shown = '';
  for (const { segment } of graphemes.segment(line)) {
    left -= graphemeWidth(segment);
    if (left < 0) break;
    shown += segment;
  }
  return columns <= 0 ? '' : `${shown}${ELLIPSIS}`;
}

export type Alignment = 'left' | 'right';

/** Lines without spaces at their ends. Rows may be of different lengths. `align` is told the index of the column. */
export function table(
  rows: readonly (readonly string[])[],
  align: (column: number) => Alignment = () => 'left',
): readonly string[] {
  const widths: number[] = [];
  for (const row of rows)
    for (const [column, cell] of row.entries())
      widths[column] = Math.max(widths[column] ?? 0, textWidth(cell));
  return rows.map((row) =>
    row
      .map((cell, column) => {
        const room = ' '.repeat((widths[column] ?? 0) - textWidth(cell));
        return align(column) === 'left' ? cell + room : room + cell;
      })
      .join('  ')
      .trimEnd(),
  );
}

/** The first column has the names of the rows, the others have figures. */
export const figuresToTheRight = (column: number): Alignment => (column === 0 ? 'left' : 'right');
