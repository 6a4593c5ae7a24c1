// Alternating rounds: what is compared is measured again and again, side by side in time.
import { summarize } from './statistics.mjs';

/** The results of `measure(round)`, one after the other. */
export async function inRounds(rounds, measure) {
  const results = [];
  for (let round = 0; round < rounds; round += 1) results.push(await measure(round));
  return results;
}

/** No server always comes after the same one. */
export function rotate(list, by) {
  const at = by % list.length;
  return [...list.slice(at), ...list.slice(0, at)];
}

/** Those that a trial asks for with a list of names, all where there is none. */
export function selected(list, only) {
  return only === undefined ? list : list.filter(({ name }) => only.split(',').includes(name));
}

/** Median and extremes of what `read` finds in each round. */
export const overRounds = (rounds, read) => summarize(rounds.map(read));
