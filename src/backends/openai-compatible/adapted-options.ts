/**
 * How a refused call is asked again, where the server refuses something that it can do without: the template's switch, a
 * max_tokens larger than what is left, its older name, the strictness of a forced call; each at most once. Its words may
 * repeat what the client wrote, so they count only where they speak of what was sent, by this server and not by the client.
 * Pure.
 */
import type { GenerationRequest } from '../../core/generation.ts';
import type { JsonAnswer } from '../../upstream/upstream.ts';
import { contextErrorOf, promptMayFit, roomLeft } from './context-error.ts';
import type { BodyOptions, OpenAiCall } from './request-body.ts';
import { isForced } from './tool-fields.ts';
import { refusesStrictTools, refusesTemplateSwitch, wantsNewerLimit } from './upstream-error.ts';

export interface RefusedCall {
  readonly request: GenerationRequest;
  readonly sent: OpenAiCall['body'];
  readonly answer: JsonAnswer;
}

/** Undefined where the refusal is the answer. */
export function adaptedOptions(options: BodyOptions, refused: RefusedCall): BodyOptions | undefined {
  const { sent, answer } = refused;
  if (options.templateSwitch && saysSwitch(refused) && refusesTemplateSwitch(answer))
    return { ...options, templateSwitch: false };
  if (options.strictTools && saysStrict(refused) && refusesStrictTools(answer))
    return { ...options, strictTools: false };
  if ('messages' in sent && 'max_tokens' in sent && wantsNewerLimit(answer))
    return { ...options, maxTokensName: 'max_completion_tokens' };
  const contextError = answer.status === 400 ? contextErrorOf(answer.body) : undefined;
  const asked = options.maxTokens;
  if (contextError === undefined || asked === undefined || !promptMayFit(contextError)) return undefined;
  if (options.dialect.nullMeansRest) return { ...options, maxTokens: undefined };
  const room = roomLeft(contextError);
  return room === undefined || room >= asked ? undefined : { ...options, maxTokens: room };
}

/** The client itself did not ask for it. */
function saysStrict({ request: { tools } }: RefusedCall): boolean {
  return tools !== undefined && isForced(tools) && !tools.tools.some(({ strict }) => strict);
}

/** The switch is all that the template was told. */
function saysSwitch({ request, sent }: RefusedCall): boolean {
  const own = request.extras?.chat_template_kwargs;
  return 'chat_template_kwargs' in sent && (own === undefined || own === null);
}
