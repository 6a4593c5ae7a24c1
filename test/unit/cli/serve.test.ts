import { describe, expect, it } from 'vitest';
import { type Shutdown, type SignalSource, untilSignalled } from '../../../src/cli/serve.ts';
import { silentLog } from '../../../src/core/log.ts';

class FakeSignals implements SignalSource {
  readonly #listeners = new Map<string, (signal: NodeJS.Signals) => void>();
  readonly due: (() => void)[] = [];
  terminal: boolean;
  endedAtOnce = 0;
  reloads = 0;
  ending: Shutdown | undefined;

  constructor({ terminal }: { terminal: boolean }) {
    this.terminal = terminal;
    const onReload = () => {
      this.reloads += 1;
    };
    void untilSignalled(this, silentLog, onReload).then((ending) => {
      this.ending = ending;
    });
  }

  on(signal: NodeJS.Signals, listener: (signal: NodeJS.Signals) => void): void {
    this.#listeners.set(signal, listener);
  }

  hasTerminal(): boolean {
    return this.terminal;
  }

  schedule(_delayMs: number, run: () => void): void {
    this.due.push(run);
  }

  endAtOnce(): void {
    this.endedAtOnce += 1;
  }

  async send(signal: NodeJS.Signals): Promise<Shutdown | undefined> {
    this.#listeners.get(signal)?.(signal);
    await Promise.resolve();
    return this.ending;
  }
}

describe('signals', () => {
  it('SIGTERM gives load balancers time to notice, SIGINT does not wait', async () => {
    expect(await new FakeSignals({ terminal: false }).send('SIGTERM')).toEqual({ delays: true });
    expect(await new FakeSignals({ terminal: true }).send('SIGINT')).toEqual({ delays: false });
  });

  it('a second one ends the process at once, whichever it is', async () => {
    const signals = new FakeSignals({ terminal: true });
    await signals.send('SIGTERM');
    expect(signals.endedAtOnce).toBe(0);
    await signals.send('SIGINT');
    expect(signals.endedAtOnce).toBe(1);
  });

  it('SIGHUP reloads where no terminal was closed', async () => {
    const signals = new FakeSignals({ terminal: false });
    expect(await signals.send('SIGHUP')).toBeUndefined();
    expect(signals.due).toEqual([]);
    expect(signals.reloads).toBe(1);
    expect(await signals.send('SIGTERM'), 'and counts as no first signal').toEqual({ delays: true });
    expect(signals.endedAtOnce).toBe(0);
  });

  it('SIGHUP of a terminal that is still open after a moment reloads', async () => {
    const signals = new FakeSignals({ terminal: true });
    await signals.send('SIGHUP');
    for (const run of signals.due) run();
    await Promise.resolve();
    expect(signals.ending).toBeUndefined();
    expect(signals.reloads).toBe(1);
  });

  it('the terminal it runs in being closed ends it like SIGINT, also when the signal comes first', async () => {
    const signals = new FakeSignals({ terminal: true });
    await signals.send('SIGHUP');
    signals.terminal = false;
    for (const run of signals.due) run();
    await Promise.resolve();
    expect(signals.ending).toEqual({ delays: false });
    expect(signals.reloads).toBe(0);

    const gone = new FakeSignals({ terminal: true });
    gone.terminal = false;
    expect(await gone.send('SIGHUP')).toEqual({ delays: false });
    await gone.send('SIGHUP');
    expect(gone.endedAtOnce, 'a terminal is closed once, and may say so twice').toBe(0);
  });
});
