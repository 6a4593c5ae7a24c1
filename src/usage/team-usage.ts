/** What each team has used since the start, for metrics: of a bounded number of teams, and of all others together. Pure. */
import type { Milliseconds } from '../core/clock.ts';

/** Sums. */
export interface TeamSums {
  requests: number;
  errors: number;
  rejections: number;
  promptTokens: number;
  cachedTokens: number;
  completionTokens: number;
  costNano: number;
  slotMs: Milliseconds;
}

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
    const sums = {
      requests: 0,
      errors: 0,
      rejections: 0,
      promptTokens: 0,
      cachedTokens: 0,
      completionTokens: 0,
      costNano: 0,
      slotMs: 0,
    };
    this.#teams.set(name, sums);
    return sums;
  }
}
