/** Shows a download: a bar on a terminal, a log line every tenth elsewhere. */
import type { DownloadProgress } from '../backends/backend-definition.ts';
import type { Log } from '../core/log.ts';

const BAR_WIDTH = 30;

export function downloadReporter(output: {
  readonly log: Log;
  readonly terminal: NodeJS.WriteStream;
}): (progress: DownloadProgress) => void {
  const { log, terminal } = output;
  let lastShown = -1;
  return ({ label, doneBytes, totalBytes }) => {
    const share = totalBytes === 0 ? 0 : Math.min(1, doneBytes / totalBytes);
    const step = Math.floor(share * (terminal.isTTY ? 100 : 10));
    if (step === lastShown) return;
    lastShown = step;
    const amount = `${megabytes(doneBytes)} of ${megabytes(totalBytes)} MB`;
    if (!terminal.isTTY) {
      log.info(`fetching ${label}: ${amount}`);
      return;
    }
    const filled = Math.round(share * BAR_WIDTH);
    const bar = '█'.repeat(filled) + '░'.repeat(BAR_WIDTH - filled);
    terminal.write(`\r${label} ${bar} ${Math.floor(share * 100)} % (${amount})${share === 1 ? '\n' : ''}`);
  };
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}
