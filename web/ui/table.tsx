/** A table under its heading, which scrolls sideways where the window is too narrow for it. */
import type { ComponentChildren } from 'preact';

interface TableProps {
  /** Of its heading. */
  readonly id: string;
  readonly title: string;
  readonly columns: readonly string[];
  /** Under it; empty: none. */
  readonly note?: string;
  /** Its rows. */
  readonly children: ComponentChildren;
}

export function Table({ id, title, columns, note = '', children }: TableProps) {
  return (
    <section aria-labelledby={id}>
      <h2 id={id}>{title}</h2>
      <TableScroll label={title} columns={columns}>
        {children}
      </TableScroll>
      {note !== '' && <p class="hint">{note}</p>}
    </section>
  );
}

interface TableScrollProps {
  readonly label: string;
  readonly columns: readonly string[];
  readonly children: ComponentChildren;
}

/** Without a heading of its own. */
export function TableScroll({ label, columns, children }: TableScrollProps) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls sideways, which the keyboard must be able to do
    <section class="table-scroll" tabIndex={0} aria-label={`${label}, table`}>
      <table class="table">
        <thead>
          <tr>
            {columns.map((column) => (
              <th scope="col" key={column}>
                {column}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </section>
  );
}
