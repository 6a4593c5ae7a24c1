import { expect, test } from 'vitest';
import { ScrapePlaces } from '../../../src/http/scrape-places.ts';

function taking() {
  const places = new ScrapePlaces();
  const take = (client: string) => {
    let close = () => {};
    const onClose = (run: () => void) => {
      close = run;
    };
    places.take({ client, onClose });
    return () => close();
  };
  return take;
}

test('a client has at most 8 answers on their way; when one has closed it may ask again', () => {
  const take = taking();
  const [close] = Array.from({ length: 8 }, () => take('a'));
  expect(() => take('a')).toThrow('8 answers with metrics');
  expect(() => take('b')).not.toThrow();
  close?.();
  expect(() => take('a')).not.toThrow();
});

test('all together have 64', () => {
  const take = taking();
  const [close] = Array.from({ length: 64 }, (_, index) => take(`client ${Math.floor(index / 8)}`));
  expect(() => take('another')).toThrow('Too many clients');
  close?.();
  expect(() => take('another')).not.toThrow();
});
