/** A whole generation: the same events, folded. */
import type { FinishReason, GenerationEvent } from './generation.ts';
import type { Usage } from './usage.ts';

export interface GenerationResult {
  readonly text: string;
  /** Empty when the model did not think. */
  readonly reasoning: string;
  readonly finishReason: FinishReason;
  readonly usage: Usage;
}

/** Throws what the events throw; a stream that ends without `finish` is an error of its producer. */
export async function foldEvents(events: AsyncIterable<GenerationEvent>): Promise<GenerationResult> {
  let text = '';
  let reasoning = '';
  let finish: Extract<GenerationEvent, { type: 'finish' }> | undefined;
  for await (const event of events) {
    if (event.type === 'text') text += event.text;
    else if (event.type === 'reasoning') reasoning += event.text;
    else if (event.type === 'finish') finish = event;
  }
  if (!finish) throw new Error('the events ended without a finish');
  return { text, reasoning, finishReason: finish.reason, usage: finish.usage };
}
