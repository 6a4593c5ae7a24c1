/**
 * Whether the server has the model and holds it in memory: from what it lists, and from what requests met, which counts
 * more. A runner belongs to a file of weights and is listed under the name that started it, so a second name of the same
 * weights (`FROM llama3.2` in a Modelfile) is answered at once and never listed. Owns what requests met last.
 */
import type { Milliseconds } from '../../core/clock.ts';
import { asObject, asText, type Loose } from '../../upstream/lenient.ts';
import { sameModel } from './model-name.ts';

/** After that a model that is listed is tried again, although a request was told that it is missing. */
const MISSING_HOLDS_MS = 30_000;

const WEIGHTS_FACTS = ['family', 'parameter_size', 'quantization_level'] as const;

export interface RunningList {
  readonly model: string;
  /** Of the model, in the list of those that are installed. */
  readonly installed: Loose;
  readonly running: readonly Loose[];
  /** When the list was asked for: an answer that came later knows better. */
  readonly askedAt: Milliseconds;
}

export class ModelPresence {
  #answeredAt: Milliseconds | undefined;
  #missingAt: Milliseconds | undefined;
  #wasListed = false;
  /** Names that were listed when the model had answered under none of its own: one of them is the runner that answered. */
  #otherNames: ReadonlySet<string> | undefined;

  /** A request was answered, or the model was loaded for one. */
  noteAnswered(now: Milliseconds): void {
    this.#answeredAt = now;
    this.#otherNames = undefined;
    this.#missingAt = undefined;
  }

  /** A request was told that there is no such model. */
  noteMissing(now: Milliseconds): void {
    this.forget();
    this.#missingAt = now;
  }

  /** Another model, or another server, may have the name. */
  forget(): void {
    this.#answeredAt = undefined;
    this.#missingAt = undefined;
    this.#wasListed = false;
    this.#otherNames = undefined;
  }

  isMissing(now: Milliseconds): boolean {
    return this.#missingAt !== undefined && now - this.#missingAt < MISSING_HOLDS_MS;
  }

  /** The entry of the runner that holds the model; one without facts where an answer proves it alone; undefined: none does. */
  runnerIn(list: RunningList): Loose | undefined {
    const own = list.running.find((entry) => sameModel(nameOf(entry), list.model));
    const wasListed = this.#wasListed;
    this.#wasListed = own !== undefined;
    if (own !== undefined || this.#answeredAt === undefined) return own;
    if (this.#answeredAt >= list.askedAt) return {};
    // It was listed under its own name and is not any more: what is listed now took its place.
    if (wasListed) this.#answeredAt = undefined;
    if (this.#answeredAt === undefined) return undefined;
    this.#otherNames ??= new Set(
      list.running.filter((entry) => mayShareWeights(entry, list.installed)).map(nameOf),
    );
    return list.running.find((entry) => this.#otherNames?.has(nameOf(entry)));
  }
}

export function nameOf(entry: Loose): string {
  return asText(entry.model) ?? asText(entry.name) ?? '';
}

/** Names of the same weights agree in what the lists tell of them; facts that are not told contradict nothing. */
function mayShareWeights(entry: Loose, other: Loose): boolean {
  const [one, two] = [asObject(entry.details), asObject(other.details)];
  return WEIGHTS_FACTS.every((fact) => !asText(one[fact]) || !asText(two[fact]) || one[fact] === two[fact]);
}
