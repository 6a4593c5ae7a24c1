import { expect, it } from 'vitest';
import { cutToWidth, figuresToTheRight, table, textWidth } from '../../../src/core/text-columns.ts';

it.each([
  ['', 0],
  ['qwen3:4b', 8],
  ['Zürich', 6],
  ['Zu\u0308rich', 6],
  ['模型', 4],
  ['ﾓﾃﾞﾙ', 4],
  ['モデル', 6],
  ['모델', 4],
  ['ＡＢ', 4],
  ['ok 👍', 5],
  ['👩‍💻', 2],
  ['🇨🇭', 2],
  ['❤️', 2],
  ['a\u200bb', 2],
  ['–…', 2],
])('%s takes %i columns', (text, columns) => {
  expect(textWidth(text)).toBe(columns);
});

it.each([
  ['abcdef', 6, 'abcdef'],
  ['abcdef', 5, 'abcd…'],
  ['模型模型', 8, '模型模型'],
  ['模型模型', 7, '模型模…'],
  ['模型模型', 6, '模型…'],
  ['abc', 1, '…'],
  ['abc', 0, ''],
  ['👩‍💻👩‍💻', 3, '👩‍💻…'],
])('%s cut to %i columns is %s', (text, columns, cut) => {
  expect(cutToWidth(text, columns)).toBe(cut);
});

it('columns of a table stand under each other, whatever their letters', () => {
  const rows = [
    ['MODEL', 'WAITING'],
    ['模型', '3'],
    ['qwen', '12', 'more'],
    ['last', ''],
  ];
  expect(table(rows)).toEqual(['MODEL  WAITING', '模型   3', 'qwen   12       more', 'last']);
  expect(table(rows.slice(0, 2), figuresToTheRight)).toEqual(['MODEL  WAITING', '模型         3']);
  expect(table([])).toEqual([]);
});
