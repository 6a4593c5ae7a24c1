/** What each team has used since the start, for metrics: of a bounded number of teams, and of all others together. Pure. */
import { NOTHING_USED, type UsageMeasures } from '../core/usage-measures.ts';

/** Sums that are added to. */
export type TeamSums = { -readonly [Measure in keyof UsageMeasures]: number };

const MAX_TEAMS = 50;
/** All that come after the first ones. */
export const OTHER_TEAMS = 'other';

export class TeamUsage {
  readonly #teams = new Map<string, TeamSums>();

  /** `team`: empty: none. */
  of(team: string): TeamSums {
    return this.#teams.get(team) ?? this.#begin(team);
  }

  all(): ReadonlyMap<string, Readonly<TeamSums>> {
    return this.#teams;
  }

  #begin(team: string): TeamSums {
    // Requests of no team have their own sums at all times.
    const named = this.#teams.size - (this.#teams.has('') ? 1 : 0);
    const name = team === '' || named < MAX_TEAMS ? team : OTHER_TEAMS;
    const known = this.#teams.get(name);
    if (known !== undefined) return known;
    const sums = { ...NOTHING_USED };
    this.#teams.set(name, sums);
    return sums;
  }
}
