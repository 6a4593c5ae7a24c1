/** How a response is told, beside what stands in its frame. */
import type { OfferedTools } from './offered-tools.ts';

export interface AnsweredAs {
  /** Calls are told by the client's names for them. */
  readonly tools: OfferedTools;
  /** What the model thinks is told as the summary that was asked for, not as the reasoning's content. */
  readonly summarises: boolean;
}
