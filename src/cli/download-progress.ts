/** Shows a download: a bar on a terminal, a log line every tenth elsewhere. */
import { type Log, printableLine } from '../core/log.ts';
import type { DownloadProgress } from '../models/fetch.ts';
import { CLEAR_LINE, fitting } from './terminal.ts';

const BAR_WIDTH = 30;
/** Between two reports, if the total is unknown. */
const UNKNOWN_STEP_BYTES = 10_000_000;

export function downloadReporter(output: {
  readonly log: Log;
  readonly terminal: NodeJS.WriteStream;
}): (progress: DownloadProgress) => void {
  const { log, terminal } = output;
  let lastShown = -1;
  return ({ label, doneBytes, totalBytes }) => {
    const share = totalBytes === 0 ? 0 : Math.min(1, doneBytes / totalBytes);
    const step =
      totalBytes === 0
        ? Math.floor(doneBytes / UNKNOWN_STEP_BYTES)
        : Math.floor(share * (terminal.isTTY ? 100 : 10));
    if (step === lastShown) return;
    lastShown = step;
    const amount = `${megabytes(doneBytes)} of ${totalBytes === 0 ? '?' : megabytes(totalBytes)} MB`;
    if (!terminal.isTTY) {
      log.info(`Downloading ${label}: ${amount}`);
      return;
    }
    const text = `${printableLine(label)} (${amount})`;
    const withBar = totalBytes === 0 ? text : `${printableLine(label)} ${bar(share)}(${amount})`;
    const line = fitting(withBar, terminal) === withBar ? withBar : fitting(text, terminal);
    terminal.write(`${CLEAR_LINE}${line}${share === 1 ? '\n' : ''}`);
  };
}

function bar(share: number): string {
  const filled = Math.round(share * BAR_WIDTH);
  return `${'█'.repeat(filled)}${'░'.repeat(BAR_WIDTH - filled)} ${Math.floor(share * 100)} % `;
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}
