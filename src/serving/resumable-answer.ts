/**
 * A streamed answer that outlives the attempts it is made by: what the client has of it, what the attempt under way may add, and how the
 * next one begins after a failure. Owned by one generation. Invariant: what `pass` returns adds up to one answer.
 */
import type { GenerationEvent, GenerationRequest, Usage } from '../core/generation.ts';
import { ResumeMatcher, Transcript } from './resume-matcher.ts';
import { decideResumption, type Resumption } from './resumption.ts';

type Counts = Pick<Usage, 'promptTokens' | 'cachedTokens'>;
type Finish = Extract<GenerationEvent, { type: 'finish' }>;

export class ResumableAnswer {
  readonly #transcript = new Transcript();
  /** The first request; those of continuations are made from it. */
  #request: GenerationRequest | undefined;
  /** Compares what comes with what was sent; undefined: all that comes is new. */
  #matcher: ResumeMatcher | undefined;
  #isRegenerated = false;
  /** Of the answer, by attempts whose events the one under way does not repeat. */
  #tokensBefore = 0;
  #sentTokens = 0;
  /** As the client may have received it. */
  #start: Counts | undefined;
  #resumptions = 0;
  /** The attempt under way has added nothing yet. */
  #isResuming = false;

  constructor() {
    this.#request = undefined;
    this.#matcher = undefined;
    this.#start = undefined;
  }

  /** How often it went on after a failure. */
  get resumptions(): number {
    return this.#resumptions;
  }

  /** The client received it before the first content. */
  begun({ promptTokens = 0, cachedTokens = 0 }: Extract<GenerationEvent, { type: 'start' }>): void {
    if (promptTokens > 0) this.#start = { promptTokens, cachedTokens };
  }

  /** What the client receives of the event. Undefined: nothing, it has it already. */
  pass(event: GenerationEvent): GenerationEvent | 'differs' | undefined {
    if (!this.#isResuming) {
      this.#transcript.add(event);
      return event.type === 'finish' ? this.#finish(event) : event;
    }
    const match = this.#matcher === undefined ? event : this.#matcher.match(event);
    if (match === 'differs') return match;
    if (match === 'swallowed' || match.type === 'start') return undefined;
    if (this.#matcher?.isDone !== false) {
      this.#matcher = undefined;
      this.#isResuming = false;
      this.#resumptions += 1;
    }
    this.#transcript.add(match);
    return match.type === 'finish' ? this.#finish(match) : match;
  }

  /** An attempt at `request` has failed, after `answerTokens`. Where the answer can go on, it is ready for the next attempt. */
  broken(request: GenerationRequest, answerTokens: number, known: readonly number[] | undefined): Resumption {
    this.#request ??= request;
    this.#sentTokens = Math.max(this.#sentTokens, this.#tokensBefore + answerTokens);
    const resumption = decideResumption({
      request: this.#request,
      sent: this.#transcript,
      sentTokens: this.#sentTokens,
      // A continuation's tokens are not all.
      known: this.#tokensBefore === 0 ? known : undefined,
    });
    if (resumption.mode === 'regenerate' || resumption.mode === 'replay') {
      this.#matcher = new ResumeMatcher(this.#transcript);
      this.#isResuming = true;
      this.#isRegenerated = true;
    } else if (resumption.mode === 'continue') {
      const overlap = new Transcript();
      overlap.add({ type: 'text', text: resumption.overlap });
      this.#matcher = new ResumeMatcher(overlap);
      this.#isResuming = true;
      this.#tokensBefore = resumption.tokens;
    }
    return resumption;
  }

  /** It has reached its limit of tokens. */
  complete(estimatedPromptTokens: number): Finish {
    const { promptTokens, cachedTokens } = this.#start ?? {
      promptTokens: estimatedPromptTokens,
      cachedTokens: 0,
    };
    const usage = { promptTokens, cachedTokens, completionTokens: this.#sentTokens };
    return { type: 'finish', reason: 'length', usage };
  }

  #finish(event: Finish): Finish {
    if (this.#request === undefined) return event;
    return { ...event, usage: this.#usage(event.usage) };
  }

  /** Of the answer as a whole: its prompt once, and all of its tokens once. */
  #usage(last: Usage): Usage {
    if (this.#isRegenerated) return { ...last, ...this.#start };
    const { promptTokens, cachedTokens, completionTokens } = last;
    const before = this.#tokensBefore;
    // The last prompt includes what was sent before.
    const counts = this.#start ?? { promptTokens: Math.max(0, promptTokens - before), cachedTokens };
    return { ...last, ...counts, completionTokens: completionTokens + before };
  }
}
