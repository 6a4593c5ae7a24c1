/**
 * What an Ollama stand-in has and holds in memory: the names of one model's weights, and the runner of those weights. As in
 * the real server, a runner belongs to the weights and was started with attributes: a request with others starts it anew,
 * and it is listed under the name that started it. Counts the starts.
 */
import { recordedJson } from './recording.ts';

type Loose = Record<string, unknown>;

export type OllamaRelease = '0.6.5' | '0.17.4' | '0.32.15';

export interface OllamaMemoryOptions {
  readonly release: OllamaRelease;
  /** The first is the one that is loaded at the start. */
  readonly names: readonly string[];
  readonly loaded: boolean;
  /** Of a runner whose `num_ctx` nobody said. */
  readonly contextSize: number | undefined;
}

interface Runner {
  readonly name: string;
  readonly attributes: string;
  readonly contextSize: number | undefined;
}

export class OllamaMemory {
  readonly #options: OllamaMemoryOptions;
  readonly #names: string[];
  #runner: Runner | undefined;
  #loads = 0;
  /** The runner is being started anew: the next look at what is loaded finds nothing. */
  #isReloading = false;
  /** How often another model was given the name. */
  #made = 0;

  constructor(options: OllamaMemoryOptions) {
    this.#options = options;
    this.#names = [...options.names];
    const [first] = options.names;
    if (options.loaded && first !== undefined) this.#runner = this.#start(first, {});
  }

  /** Starts of a runner that requests caused. */
  get loads(): number {
    return this.#loads;
  }

  knows(name: unknown): boolean {
    return this.#find(name) !== undefined;
  }

  load(body: Loose): void {
    const name = this.#find(body.model);
    if (name === undefined) return;
    const wanted = this.#start(name, body);
    if (this.#runner?.attributes === wanted.attributes) return;
    this.#isReloading = this.#runner !== undefined;
    this.#runner = wanted;
    this.#loads += 1;
  }

  unload(): void {
    this.#runner = undefined;
  }

  remove(name: unknown): void {
    const found = this.#find(name);
    if (found !== undefined) this.#names.splice(this.#names.indexOf(found), 1);
  }

  /** Another model takes the name. */
  make(): void {
    this.#made += 1;
  }

  installed(): Loose {
    const recorded = entriesOf(this.#isCurrent ? 'ollama-0.32/tags' : 'ollama/tags');
    return { models: this.#names.map((name, index) => this.#entry(recorded[index] ?? recorded[0], name)) };
  }

  running(): Loose {
    const isReloading = this.#isReloading;
    this.#isReloading = false;
    if (this.#runner === undefined || isReloading) return { models: [] };
    const { name, contextSize } = this.#runner;
    const [recorded] = entriesOf(this.#isCurrent ? 'ollama-0.32/ps-loaded' : 'ollama/ps-loaded');
    const entry = this.#entry(recorded, name);
    return { models: [{ ...entry, ...(contextSize !== undefined && { context_length: contextSize }) }] };
  }

  get #isCurrent(): boolean {
    return this.#options.release === '0.32.15';
  }

  /** `shift` is one of the attributes since 0.30; on unless a request says otherwise. */
  #start(name: string, { shift = true, options = {} }: Loose): Runner {
    const { num_ctx = this.#options.contextSize } = options as Loose;
    const attributes = JSON.stringify({ num_ctx, ...(this.#isCurrent && { shift }) });
    return { name, attributes, contextSize: num_ctx as number | undefined };
  }

  #entry(recorded: Loose = {}, name: string): Loose {
    const tagged = name.includes(':') ? name : `${name}:latest`;
    const digest = `${this.#made || ''}${recorded.digest}`.slice(0, 64);
    return { ...recorded, name: tagged, model: tagged, digest };
  }

  /** Case makes no difference, nor does the default tag. */
  #find(name: unknown): string | undefined {
    const spelled = (text: string) => text.toLowerCase().replace(/:latest$/, '');
    return this.#names.find((known) => spelled(known) === spelled(String(name)));
  }
}

function entriesOf(name: string): Loose[] {
  return recordedJson(name).models as Loose[];
}
