/** A field that narrows what a section lists. */
interface FilterProps {
  readonly label: string;
  readonly value: string;
  readonly maxLength?: number;
  readonly onInput: (value: string) => void;
}

export function Filter({ label, value, maxLength, onInput }: FilterProps) {
  return (
    <input
      type="search"
      class="admin-filter"
      placeholder="Filter"
      aria-label={label}
      spellcheck={false}
      value={value}
      maxLength={maxLength}
      onInput={(event) => onInput(event.currentTarget.value)}
    />
  );
}
