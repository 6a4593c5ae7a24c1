import { describe, expect, test } from 'vitest';
import { type Reader, ReadingLine } from '../../../src/http/reading-line.ts';

/** Readings that end when they are told to. */
function held({ limitsTime = false } = {}) {
  const clock = { ms: 0, now: () => clock.ms };
  const line = new ReadingLine(clock, { limitsTime });
  const started: string[] = [];
  const ends = new Map<string, (error?: Error) => void>();
  const leaves = new Map<string, () => void>();
  const readerOf = (client: string, name: string): Reader => ({
    client,
    isClosed: false,
    onClose: (run) => void leaves.set(name, run),
    offClose: () => void leaves.delete(name),
  });
  const read = (client: string, name: string) =>
    line.read(readerOf(client, name), () => {
      started.push(name);
      return new Promise<string>((resolve, reject) => {
        ends.set(name, (error) => (error === undefined ? resolve(name) : reject(error)));
      });
    });
  const end = async (name: string, error?: Error) => {
    await expect.poll(() => started, { interval: 1 }).toContain(name);
    ends.get(name)?.(error);
  };
  return { clock, line, readerOf, read, started, end, leave: (name: string) => leaves.get(name)?.() };
}

describe('reports and lists', () => {
  test('are read one after the other; clients take turns', async () => {
    const { read, started, end } = held();
    const answers = ['a1', 'a2', 'a3', 'b1', 'c1'].map((name) => read(name.charAt(0), name));
    expect(started).toEqual(['a1']);
    for (const name of ['a1', 'a2', 'b1', 'c1', 'a3']) await end(name);
    expect(await Promise.all(answers)).toEqual(['a1', 'a2', 'a3', 'b1', 'c1']);
    expect(started).toEqual(['a1', 'a2', 'b1', 'c1', 'a3']);
  });

  test('a fifth of one client is refused; another client’s is not', async () => {
    const { read, started, end } = held();
    const answers = ['a1', 'a2', 'a3', 'a4'].map((name) => read('a', name));
    await expect(read('a', 'a5')).rejects.toMatchObject({ code: 'client_queue_full', retryAfterSeconds: 1 });
    const other = read('b', 'b1');
    await end('a1');
    await answers[0];
    const again = read('a', 'a6');
    for (const name of ['a2', 'b1', 'a3', 'a4', 'a6']) await end(name);
    await Promise.all([...answers, other, again]);
    expect(started).not.toContain('a5');
  });

  test('more than 64 of all are refused', async () => {
    const { read, end } = held();
    const names = Array.from({ length: 64 }, (_, index) => `r${index}`);
    const answers = names.map((name) => read(name, name));
    await expect(read('last', 'last')).rejects.toMatchObject({ code: 'queue_full' });
    for (const name of names) await end(name);
    await Promise.all(answers);
  });

  test('one that fails gives its place back', async () => {
    const { read, end } = held();
    const failing = read('a', 'a1');
    const next = read('b', 'b1');
    await end('a1', new Error('away'));
    await expect(failing).rejects.toThrow('away');
    await end('b1');
    expect(await next).toBe('b1');
  });

  test('who has left while it waited is not read for, and its client may ask again', async () => {
    const { read, started, end, leave } = held();
    const first = read('a', 'a1');
    const leaving = ['a2', 'a3', 'a4'].map((name) => read('a', name));
    const next = read('b', 'b1');
    for (const name of ['a2', 'a3', 'a4']) leave(name);
    for (const each of leaving) await expect(each).rejects.toMatchObject({ code: 'client_gone' });
    const again = read('a', 'a5');
    for (const name of ['a1', 'b1', 'a5']) await end(name);
    expect(await Promise.all([first, next, again])).toEqual(['a1', 'b1', 'a5']);
    expect(started).toEqual(['a1', 'b1', 'a5']);
  });

  test('who had left before it came to wait is not read for', async () => {
    const { line, readerOf, read, end } = held();
    const first = read('a', 'a1');
    const gone = line.read({ ...readerOf('b', 'b1'), isClosed: true }, async () => 'read');
    await expect(gone).rejects.toMatchObject({ code: 'client_gone' });
    await end('a1');
    await first;
  });

  test('a client that has kept the database busy is refused until it has rested; others are not', async () => {
    const { clock, read, end } = held({ limitsTime: true });
    const take = async (client: string, name: string, readingMs: number) => {
      const answer = read(client, name);
      clock.ms += readingMs;
      await end(name);
      return answer;
    };
    expect(await take('a', 'a1', 5000)).toBe('a1');
    expect(await take('a', 'a2', 1000)).toBe('a2');
    const refusal = { code: 'client_queue_full', retryAfterSeconds: 9 };
    await expect(read('a', 'a3')).rejects.toMatchObject(refusal);
    expect(await take('b', 'b1', 10)).toBe('b1');
    clock.ms += 9000;
    expect(await take('a', 'a4', 10)).toBe('a4');
  });

  test('what failed takes no time of its client', async () => {
    const { clock, read, end } = held({ limitsTime: true });
    const failing = read('a', 'a1');
    clock.ms += 8000;
    await end('a1', new Error('locked'));
    await expect(failing).rejects.toThrow('locked');
    const next = read('a', 'a2');
    await end('a2');
    expect(await next).toBe('a2');
  });
});
