import { describe, expect, it } from 'vitest';
import { isCalendarDay, parseIsoTime } from '../../../src/core/iso-time.ts';

describe('a day', () => {
  it.each(['2026-01-31', '2028-02-29', '2000-02-29'])('%s is one of the calendar', (day) => {
    expect(isCalendarDay(day)).toBe(true);
  });

  it.each(['2026-02-30', '2027-02-29', '2026-13-01', '2026-00-10', '2026-01-00'])(
    '%s is none, though some become others in JavaScript',
    (day) => {
      expect(isCalendarDay(day)).toBe(false);
    },
  );
});

describe('a time', () => {
  it.each([
    ['2026-01-31', '2026-01-31T00:00:00.000Z'],
    ['2026-01-31T12:30Z', '2026-01-31T12:30:00.000Z'],
    ['2026-01-31T12:30:15.5Z', '2026-01-31T12:30:15.500Z'],
    ['2026-01-31t12:30:15z', '2026-01-31T12:30:15.000Z'],
    ['2026-01-31T23:30:00-02:00', '2026-02-01T01:30:00.000Z'],
  ])('%s is %s', (text, time) => {
    expect(new Date(parseIsoTime(text) ?? 0).toISOString()).toBe(time);
  });

  it.each([
    '',
    'yesterday',
    '2026',
    '2026-02-30',
    '2026-02-30T12:00:00Z',
    '2026-01-31T25:00:00Z',
    // Which zone?
    '2026-01-31T12:00:00',
    '2026-01-31T12:00:00+0200',
    '31.1.2026',
    '1769860800000',
  ])('%j is none', (text) => {
    expect(parseIsoTime(text)).toBeUndefined();
  });
});
