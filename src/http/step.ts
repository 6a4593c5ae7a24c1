/** One step of a request's life. It does nothing, answers, or throws what refuses the request; either ends the request's way. */
import type { RequestContext } from './context.ts';

export type Step = (context: RequestContext) => void;
