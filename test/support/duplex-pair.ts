/** A pipe in memory: what one end writes, the other reads; when one is gone, so is the other. */
import { Duplex } from 'node:stream';

export function duplexPair(): readonly [Duplex, Duplex] {
  const one = new PipeEnd();
  const other = new PipeEnd();
  one.peer = other;
  other.peer = one;
  return [one, other];
}

class PipeEnd extends Duplex {
  peer: PipeEnd | undefined;

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    if (this.peer?.destroyed === false) this.peer.push(chunk);
    done();
  }

  override _final(done: () => void): void {
    this.peer?.push(null);
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.peer?.destroy();
    done(error);
  }
}
