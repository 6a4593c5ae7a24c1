import { expect, it } from 'vitest';
import { TeamUsage } from '../../../src/usage/team-usage.ts';

it('each team has sums of its own, up to fifty; all that come later share those of “other”', () => {
  const teams = new TeamUsage();
  const names = ['', ...Array.from({ length: 60 }, (_, index) => `team_${index}`)];
  for (const name of [...names, ...names]) teams.of(name).requests += 1;
  expect(teams.all().size).toBe(52);
  expect(teams.all().get('')?.requests).toBe(2);
  expect(teams.all().get('team_49')?.requests).toBe(2);
  expect(teams.all().get('team_50')).toBeUndefined();
  expect(teams.all().get('other')?.requests).toBe(20);
});
