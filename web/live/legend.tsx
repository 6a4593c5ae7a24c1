/** What the colours, patterns and marks of the lanes mean. */
const ENTRIES = [
  ['wait', 'waits for a slot'],
  ['before', 'runs, no token yet'],
  ['stream', 'streams'],
  ['done', 'finished'],
  ['cancel', 'cancelled'],
  ['fail', 'failed or rejected'],
] as const;

export function Legend() {
  return (
    <ul class="live-legend" aria-label="What the lanes show">
      {ENTRIES.map(([name, label]) => (
        <li key={name}>
          <svg viewBox="0 0 26 12" width="26" height="12" aria-hidden="true" class={`swatch ${name}`}>
            <rect width="26" height="12" />
            {name === 'before' && <path d="M0 12 12 0M8 12 20 0M16 12 28 0" />}
            {name === 'fail' && <path d="M0 12 12 0M8 12 20 0M16 12 28 0M0 0 12 12M8 0 20 12M16 0 28 12" />}
            {name === 'cancel' && <path d="M5 3 11 9M11 3 5 9" class="mark" />}
            {name === 'done' && <rect class="cap" x="22" width="4" height="12" />}
          </svg>
          {label}
        </li>
      ))}
      <li>
        <svg viewBox="0 0 26 12" width="26" height="12" aria-hidden="true" class="swatch">
          <path d="M12 1H9V11H12" class="mark" />
        </svg>
        one batch
      </li>
      <li>
        <svg viewBox="0 0 26 12" width="26" height="12" aria-hidden="true" class="swatch retry">
          <path d="M1 2C14 2 10 10 23 10" />
          <circle cx="23" cy="10" r="2" />
        </svg>
        tried again
      </li>
    </ul>
  );
}
