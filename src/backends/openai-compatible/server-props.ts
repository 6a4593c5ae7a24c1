/**
 * What a server tells of itself and its model beside the list of models: how many requests it runs at once, and what the chat
 * template can say. Asked once for each model that is found there. What a template has no words for is dropped by the
 * server without a word, so it is refused here.
 */
import { FEATURES, unsupported } from '../../core/features.ts';
import type { GenerationRequest } from '../../core/generation.ts';
import { asCount, asObject } from '../../upstream/lenient.ts';
import type { Upstream } from '../../upstream/upstream.ts';

export interface ServerProps {
  readonly slots?: number;
  /** False: tools do not reach the model, or its calls are not read. Absent: not known. */
  readonly takesTools?: boolean;
  /** False: calls made earlier, and what tools answered, do not reach the model. */
  readonly takesCalls?: boolean;
}

export class KnownProps {
  #of: string | undefined;
  current: ServerProps = {};

  /** `identity`: of the model that is served there now. */
  async learn(
    {
      upstream,
      path,
      identity,
    }: { readonly upstream: Upstream; readonly path: string; readonly identity: string },
    signal: AbortSignal,
  ): Promise<ServerProps> {
    if (identity === this.#of) return this.current;
    const { status, body } = await upstream.json({ method: 'GET', path, signal });
    this.current = status === 200 ? readProps(body) : {};
    // A server that failed to tell may do so later; one without the route will not.
    this.#of = status < 500 ? identity : undefined;
    return this.current;
  }

  /** What comes back under this address may be another server. */
  forget(): void {
    this.#of = undefined;
    this.current = {};
  }
}

export function readProps(body: unknown): ServerProps {
  const { total_slots, chat_template_caps } = asObject(body);
  const { supports_tools: tools, supports_tool_calls: calls } = asObject(chat_template_caps);
  const slots = asCount(total_slots);
  return {
    ...(slots !== undefined && slots > 0 && { slots }),
    ...(typeof tools === 'boolean' && { takesTools: tools && calls !== false }),
    ...(typeof calls === 'boolean' && { takesCalls: calls }),
  };
}

const ADVICE = 'Remove it, use another model, or start its server with a chat template that has tools.';

/** Tools that may not be called change nothing where they are not told. */
export function refuseBeyondTemplate(
  request: GenerationRequest,
  { takesTools, takesCalls }: ServerProps,
): void {
  if (takesTools === false && request.tools !== undefined && request.tools.choice !== 'none')
    throw unsupported('tools', 'this model, whose chat template has no tools', { advice: ADVICE });
  const called = FEATURES['tool-messages'].askedBy(request);
  if (takesCalls === false && called !== undefined)
    throw unsupported(called, 'this model, whose chat template has no calls of tools', { advice: ADVICE });
}
