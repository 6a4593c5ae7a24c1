/** Which of the known names a misspelt word was meant to be. Pure. */

const MAX_EDIT_DISTANCE = 2;

/** Undefined: none is near enough. */
export function nearest(word: string, names: readonly string[]): string | undefined {
  const [first] = names
    .map((name) => ({ name, errors: editDistance(word, name) }))
    .filter(({ name, errors }) => errors <= MAX_EDIT_DISTANCE && errors < name.length)
    .sort((one, other) => one.errors - other.errors);
  return first?.name;
}

/** Letters to insert, remove, replace, or swap with their neighbour, to turn one word into the other. */
function editDistance(one: string, other: string): number {
  const rows: number[][] = [Array.from({ length: other.length + 1 }, (_, column) => column)];
  const at = (row: number, column: number) => rows[row]?.[column] ?? Number.POSITIVE_INFINITY;
  for (let row = 1; row <= one.length; row += 1) {
    const current = [row];
    rows.push(current);
    for (let column = 1; column <= other.length; column += 1) {
      const same = one[row - 1] === other[column - 1] ? 0 : 1;
      const isSwap = one[row - 1] === other[column - 2] && one[row - 2] === other[column - 1];
      current[column] = Math.min(
        at(row - 1, column) + 1,
        at(row, column - 1) + 1,
        at(row - 1, column - 1) + same,
        isSwap ? at(row - 2, column - 2) + 1 : Number.POSITIVE_INFINITY,
      );
    }
  }
  return at(one.length, other.length);
}
