/**
 * The model's own tokenizer, by the server's routes. llama-server has none that counts a chat: its template is applied first, and
 * the resulting prompt is tokenized.
 */
import type { CallOptions, TokenizeRequest, Tokenizer } from '../../core/backend.ts';
import { ServingError } from '../../core/errors.ts';
import { unsupported } from '../../core/features.ts';
import { imagesOf } from '../../core/tool-images.ts';
import { asArray, asCount, asObject } from '../../upstream/untyped.ts';
import type { JsonResponse, Upstream } from '../../upstream/upstream.ts';
import { toolFields, wireMessages } from './chat-fields.ts';
import type { Dialect } from './dialect.ts';
import { errorObject, rejectsTemplateSwitch } from './errors.ts';
import { CONTINUES_LAST } from './request-body.ts';

type Fields = Readonly<Record<string, unknown>>;

interface TokenizerOptions {
  readonly upstream: Upstream;
  readonly model: string;
  findDialect(signal: AbortSignal): Promise<Dialect>;
  /** What a response with another status than 200 means. */
  responseError(answer: JsonResponse): ServingError;
}

export function serverTokenizer({
  upstream,
  model,
  findDialect,
  responseError,
}: TokenizerOptions): Tokenizer {
  const ask = async (path: string, body: Fields, { signal, along }: CallOptions) => {
    let answer = await upstream.json({ method: 'POST', path, body, along, signal });
    const { chat_template_kwargs: ofTemplate, ...others } = body;
    // A template without a switch produces the same prompt either way.
    if (ofTemplate !== undefined && rejectsTemplateSwitch(answer))
      answer = await upstream.json({ method: 'POST', path, body: others, along, signal });
    if (answer.status === 200) return asObject(answer.body);
    // A proxy may let only /v1 through.
    const lacksRoute = answer.status === 404 && errorObject(answer.body).message === undefined;
    throw lacksRoute ? tokenizerUnsupported(model) : responseError(answer);
  };
  const dialectOf = async (signal: AbortSignal) => {
    const dialect = await findDialect(signal);
    if (dialect.tokenizes) return dialect;
    throw tokenizerUnsupported(model);
  };
  const promptOf = async (request: TokenizeRequest, dialect: Dialect, options: CallOptions) => {
    const { input } = request;
    if (input.kind === 'text') return input.prompt;
    const continues = input.kind === 'chat' && input.continuesLast ? CONTINUES_LAST : {};
    const asked = { ...chatFields(request, dialect), ...continues };
    const { prompt } = await ask('/apply-template', asked, options);
    return typeof prompt === 'string' ? prompt : fail();
  };

  return {
    async encode(request, options) {
      const dialect = await dialectOf(options.signal);
      const { input, addSpecial = true } = request;
      if (input.kind === 'tokens') return input.tokens;
      if (dialect.flavor === 'vllm') {
        const asked =
          input.kind === 'text'
            ? { prompt: input.prompt, add_special_tokens: addSpecial }
            : {
                ...chatFields(request, dialect),
                ...(input.continuesLast ? CONTINUES_LAST : { add_generation_prompt: true }),
              };
        return tokensOf(await ask('/tokenize', { model, ...asked }, options));
      }
      rejectImages(request);
      const content = await promptOf(request, dialect, options);
      // The template's text is tokenized as a prompt: with the model's start token, if it has one.
      const add_special = input.kind === 'chat' || addSpecial;
      return tokensOf(await ask('/tokenize', { content, add_special, parse_special: true }, options));
    },
    async decode(tokens, options) {
      const { flavor } = await dialectOf(options.signal);
      const answer = await ask('/detokenize', flavor === 'vllm' ? { model, tokens } : { tokens }, options);
      const text = flavor === 'vllm' ? answer.prompt : answer.content;
      return typeof text === 'string' ? text : fail();
    },
  };
}

/** vLLM's route has no tool choice: its templates get all tools. */
function chatFields({ input, tools, thinking }: TokenizeRequest, dialect: Dialect): Fields {
  if (input.kind !== 'chat') return {};
  const messages = { messages: wireMessages(input.messages, dialect), ...thinkingFields(thinking, dialect) };
  const fields = toolFields(tools, dialect);
  if (dialect.flavor !== 'vllm') return { ...messages, ...fields };
  return tools === undefined ? messages : { ...messages, tools: fields.tools };
}

/** As a generation would send them to the template. */
function thinkingFields(thinking: TokenizeRequest['thinking'], { templateSwitch }: Dialect): Fields {
  if (thinking === undefined || !templateSwitch) return {};
  const level = typeof thinking === 'string' ? { reasoning_effort: thinking } : {};
  return { chat_template_kwargs: { enable_thinking: thinking !== false, ...level } };
}

/** How many tokens an image becomes is not known from the template's text. */
function rejectImages({ input }: TokenizeRequest): void {
  const messages = input.kind === 'chat' ? input.messages : [];
  const index = messages.findIndex((message) => imagesOf(message) !== undefined);
  if (index === -1) return;
  throw unsupported(`messages[${index}].images`, 'token counting on this model’s server', {
    advice: 'Count text only.',
  });
}

function tokensOf({ tokens }: { readonly tokens?: unknown }): readonly number[] {
  const read = asArray(tokens).map(asCount);
  return Array.isArray(tokens) && read.every((token) => token !== undefined) ? read : fail();
}

function tokenizerUnsupported(model: string): ServingError {
  return new ServingError('unsupported_parameter', {
    message: `model is ${JSON.stringify(model)}, whose server has no tokenizer route. Use another model.`,
    param: 'model',
  });
}

function fail(): never {
  const message = 'The model’s backend did not answer with tokens.';
  throw new ServingError('backend_error', { message, failure: 'garbage' });
}
