/**
 * Embeds texts, one after the other: in each step one order has one of its texts read or embedded, then the next order
 * has its turn, so that a short one does not wait for a long one's end. Owns the orders under way. All texts of an order
 * are read, and refused where they are too long, before the first is embedded.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { EmbeddingInput } from '../../../core/backend.ts';
import type { EngineEmbedding, EngineEvent, EngineReport } from '../messages.ts';
import type { Token } from './library.ts';
import type { OrderTaker } from './orders.ts';
import { refusalOf } from './refusal.ts';

export interface EmbedderOptions {
  /** The tokens of a text, those that the model adds included. Throws a ServingError for tokens that are none. */
  readonly encode: (text: EmbeddingInput) => Token[];
  readonly vectorOf: (tokens: readonly Token[]) => Promise<number[]>;
  /** Tokens that a text may have. */
  readonly contextSize: number;
  readonly emit: (events: readonly EngineEvent[]) => void;
  /** A step is over: the engine gets on. */
  readonly onStep: () => void;
}

interface Work {
  readonly order: EngineEmbedding;
  /** Of the texts read so far. */
  readonly texts: (readonly Token[])[];
  embedded: number;
  aborted: boolean;
}

export class Embedder implements OrderTaker<EngineEmbedding> {
  readonly #options: EmbedderOptions;
  readonly #work: Work[] = [];
  #loop: Promise<void> | undefined;
  #stopped = false;

  constructor(options: EmbedderOptions) {
    this.#options = options;
  }

  add(order: EngineEmbedding): void {
    this.#work.push({ order, texts: [], embedded: 0, aborted: false });
    this.#loop ??= this.#run();
  }

  abort(id: number): void {
    const index = this.#work.findIndex(({ order }) => order.id === id);
    const [first] = this.#work;
    if (index === 0 && first) {
      // It may be in the middle of a step.
      first.aborted = true;
    } else if (index > 0) {
      this.#work.splice(index, 1);
      this.#options.emit([{ id, event: { type: 'freed' } }]);
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#loop;
  }

  async #run(): Promise<void> {
    for (let [work] = this.#work; work && !this.#stopped; [work] = this.#work) {
      // What has come meanwhile, an abort above all, is heard before the next step.
      await nextTurn();
      const stepped = work.aborted ? [] : await this.#step(work);
      this.#options.onStep();
      // Nobody is left to hear of what an aborted one brought forth.
      const events: readonly EngineReport[] = work.aborted ? [{ type: 'freed' }] : stepped;
      this.#work.shift();
      if (!events.some(ends)) this.#work.push(work);
      const { id } = work.order;
      if (events.length > 0) this.#options.emit(events.map((event) => ({ id, event })));
    }
    this.#loop = undefined;
  }

  async #step(work: Work): Promise<readonly EngineReport[]> {
    try {
      return work.texts.length < work.order.inputs.length ? this.#read(work) : await this.#embed(work);
    } catch (thrown) {
      return [refusalOf(thrown, 'embed')];
    }
  }

  #read({ order, texts }: Work): readonly EngineReport[] {
    const { encode, contextSize } = this.#options;
    const tokens = encode(order.inputs[texts.length] ?? '');
    texts.push(tokens);
    const refused = { type: 'failed', param: 'input' } as const;
    const which = order.inputs.length === 1 ? 'The input' : `Text ${texts.length} of the input`;
    if (tokens.length === 0) {
      const message = `${which} has no tokens: write at least one.`;
      return [{ ...refused, code: 'invalid_request', message }];
    }
    if (tokens.length <= contextSize) return [];
    const message =
      `${which} has ${tokens.length} tokens, but the model’s context holds ${contextSize}: shorten it, ` +
      'or have the server’s context_size raised where the model was trained for more.';
    return [{ ...refused, code: 'context_length_exceeded', message }];
  }

  async #embed(work: Work): Promise<readonly EngineReport[]> {
    const { texts } = work;
    const values = await this.#options.vectorOf(texts[work.embedded] ?? []);
    work.embedded += 1;
    const vector = { type: 'vector', values } as const;
    if (work.embedded < texts.length) return [vector];
    const promptTokens = texts.reduce((sum, tokens) => sum + tokens.length, 0);
    return [vector, { type: 'embedded', promptTokens }];
  }
}

function ends({ type }: EngineReport): boolean {
  return type !== 'vector';
}
