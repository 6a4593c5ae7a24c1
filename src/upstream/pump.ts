/** Passes an answer's bytes to a reader of lines or events, and stops the socket while the stream's own reader lags. */
import type { EventSink } from './event-stream.ts';
import type { Exchange } from './exchange.ts';

export interface ByteReader {
  push(chunk: Buffer): void;
  end(): void;
}

export async function pump(exchange: Exchange, reader: ByteReader, sink: EventSink<unknown>): Promise<void> {
  await exchange.read((chunk) => {
    reader.push(chunk);
    if (!sink.full) return;
    exchange.pause();
    void sink.drained().then(() => exchange.resume());
  });
  reader.end();
}
