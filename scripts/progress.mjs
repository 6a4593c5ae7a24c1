// Says that something goes on: on a terminal one line that counts the seconds, elsewhere a line every ten.

const EVERY_MS = { terminal: 1000, elsewhere: 10_000 };

/** `what`: “Installing dependencies”; `howFar()`: “12 of 380 packages”, or nothing. */
export async function withProgress(what, howFar, run, out = process.stderr, now = Date.now) {
  const startedAt = now();
  const line = () => {
    const far = howFar();
    return `${what}: ${far === '' ? '' : `${far}, `}${Math.round((now() - startedAt) / 1000)} s`;
  };
  const show = () => out.write(out.isTTY ? `\r\x1b[2K${line()}` : `${line()}\n`);
  out.write(out.isTTY ? `${what}…` : `${what}…\n`);
  const timer = setInterval(show, out.isTTY ? EVERY_MS.terminal : EVERY_MS.elsewhere);
  try {
    const result = await run();
    out.write(`${out.isTTY ? '\r\x1b[2K' : ''}${line()}, done\n`);
    return result;
  } catch (thrown) {
    if (out.isTTY) out.write('\n');
    throw thrown;
  } finally {
    clearInterval(timer);
  }
}
