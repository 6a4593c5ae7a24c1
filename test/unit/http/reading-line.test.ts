import { describe, expect, test } from 'vitest';
import { ReadingLine } from '../../../src/http/reading-line.ts';

/** Readings that end when they are told to. */
function held() {
  const line = new ReadingLine();
  const started: string[] = [];
  const ends = new Map<string, (error?: Error) => void>();
  const read = (client: string, name: string) =>
    line.read(client, () => {
      started.push(name);
      return new Promise<string>((resolve, reject) => {
        ends.set(name, (error) => (error === undefined ? resolve(name) : reject(error)));
      });
    });
  const end = (name: string, error?: Error) => ends.get(name)?.(error);
  return { read, started, end };
}

describe('reports and lists', () => {
  test('two run at once; clients take turns for the next place', async () => {
    const { read, started, end } = held();
    const answers = ['a1', 'a2', 'a3', 'a4', 'b1', 'c1'].map((name) => read(name.charAt(0), name));
    expect(started).toEqual(['a1', 'a2']);
    for (const name of ['a1', 'a2', 'a3', 'b1', 'c1', 'a4']) {
      await expect.poll(() => started).toContain(name);
      end(name);
    }
    expect(await Promise.all(answers)).toEqual(['a1', 'a2', 'a3', 'a4', 'b1', 'c1']);
    expect(started).toEqual(['a1', 'a2', 'a3', 'b1', 'c1', 'a4']);
  });

  test('a fifth of one client is refused; another client’s is not', async () => {
    const { read, started, end } = held();
    const answers = ['a1', 'a2', 'a3', 'a4'].map((name) => read('a', name));
    await expect(read('a', 'a5')).rejects.toMatchObject({ code: 'client_queue_full', retryAfterSeconds: 1 });
    const other = read('b', 'b1');
    end('a1');
    await answers[0];
    const again = read('a', 'a6');
    for (const name of ['a2', 'a3', 'b1', 'a4', 'a6']) {
      await expect.poll(() => started).toContain(name);
      end(name);
    }
    await Promise.all([...answers, other, again]);
    expect(started).not.toContain('a5');
  });

  test('more than 64 of all are refused', async () => {
    const { read, started, end } = held();
    const names = Array.from({ length: 64 }, (_, index) => `r${index}`);
    const answers = names.map((name) => read(name, name));
    await expect(read('last', 'last')).rejects.toMatchObject({ code: 'queue_full' });
    for (const name of names) {
      await expect.poll(() => started, { interval: 1 }).toContain(name);
      end(name);
    }
    await Promise.all(answers);
  });

  test('one that fails gives its place back', async () => {
    const { read, started, end } = held();
    const failing = [read('a', 'a1'), read('a', 'a2')];
    const next = read('b', 'b1');
    end('a1', new Error('away'));
    end('a2', new Error('away'));
    for (const each of failing) await expect(each).rejects.toThrow('away');
    await expect.poll(() => started).toContain('b1');
    end('b1');
    expect(await next).toBe('b1');
  });
});
