/**
 * What a sampled request asks of the model, noted for its spans. Prompts and answers are kept only where the configuration asks for
 * them (`tracing.content`): otherwise nothing here holds on to any text.
 */
import type { TracedContents } from '../core/asked-of-model.ts';
import type { EmbeddingRequest } from '../core/backend.ts';
import { type GenerationRequest, ResultBuilder } from '../core/generation.ts';
import type { RequestTrace } from '../core/request-trace.ts';
import type { ParsedGeneration } from '../protocols/protocol.ts';
import type { ChoicesSink } from '../serving/choices.ts';
import type { EdgeSettings } from './settings.ts';

type ContentSetting = Pick<EdgeSettings, 'traceContents'>;

/** Returns the sink that the answers go to: where contents are kept, one that also notes them. */
export function noteGeneration(
  { spanNotes }: RequestTrace,
  { requests, delivery }: Pick<ParsedGeneration, 'requests' | 'delivery'>,
  { traceContents }: ContentSetting,
): (sink: ChoicesSink) => ChoicesSink {
  const [first] = requests;
  if (spanNotes === undefined || first === undefined) return (sink) => sink;
  const contents = traceContents ? contentsOf(requests) : undefined;
  spanNotes.asked = {
    operation: first.input.kind === 'chat' ? 'chat' : 'text_completion',
    responseId: first.id,
    isStreamed: delivery === 'stream',
    choices: requests.length,
    sampling: first.sampling,
    limits: first.limits,
    output: first.output?.kind.startsWith('json') ? 'json' : undefined,
    contents,
  };
  return contents === undefined ? (sink) => sink : (sink) => new NotedAnswers(sink, contents);
}

export function noteEmbedding(
  { spanNotes }: RequestTrace,
  { inputs }: EmbeddingRequest,
  { traceContents }: ContentSetting,
): void {
  if (spanNotes === undefined) return;
  spanNotes.asked = {
    operation: 'embeddings',
    responseId: undefined,
    isStreamed: false,
    choices: 1,
    sampling: {},
    limits: { stop: [] },
    output: undefined,
    contents: traceContents
      ? {
          inputs: inputs.map((input) =>
            typeof input === 'string' ? { kind: 'text', prompt: input } : { kind: 'tokens', tokens: input },
          ),
          tools: undefined,
          results: [],
        }
      : undefined,
  };
}

/** Choices of one prompt have the same input object. */
function contentsOf(requests: readonly GenerationRequest[]): TracedContents {
  const inputs = [...new Set(requests.map(({ input }) => input))];
  return { inputs, tools: requests[0]?.tools, results: [] };
}

class NotedAnswers implements ChoicesSink {
  readonly #sink: ChoicesSink;
  readonly #contents: TracedContents;
  readonly #builders: ResultBuilder[] = [];

  constructor(sink: ChoicesSink, contents: TracedContents) {
    this.#sink = sink;
    this.#contents = contents;
  }

  event(...[event, choice]: Parameters<ChoicesSink['event']>): void {
    this.#builders[choice] ??= new ResultBuilder();
    const result = this.#builders[choice].add(event);
    if (result !== undefined) this.#contents.results[choice] = result;
    this.#sink.event(event, choice);
  }

  done(): void {
    this.#sink.done();
  }

  fail(...[error]: Parameters<ChoicesSink['fail']>): void {
    this.#sink.fail(error);
  }
}
