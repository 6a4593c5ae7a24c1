/** A generation request in the words of Ollama's native API. Pure. */
import { ServingError } from '../../core/errors.ts';
import { unsupported } from '../../core/features.ts';
import type { GenerationRequest, OutputFormat, ThinkingWish, Tool } from '../../core/generation.ts';
import { chatMessages } from './chat-messages.ts';

export interface ModelSettings {
  readonly model: string;
  readonly keepAlive: number | string;
  /** Pinned by the configuration: a request with another value would make the server reload the model. */
  readonly contextSize: number | undefined;
}

export interface OllamaCall {
  readonly path: '/api/chat' | '/api/generate';
  readonly body: Readonly<Record<string, unknown>>;
}

/** What is known of the server when a request goes to it. */
export interface ServerFacts {
  /** Absent for models that cannot think: any value would be refused for them. */
  readonly think: ThinkingWish | undefined;
  /** `shift` may be said without the model being loaded anew. */
  readonly takesShift: boolean;
  /** Tokens of the slot, where they are known. */
  readonly contextSize: number | undefined;
}

const NO_PARAMETERS = { type: 'object', properties: {} };

export function generateCall(
  request: GenerationRequest,
  settings: ModelSettings,
  { think, takesShift, contextSize }: ServerFacts,
): OllamaCall {
  const { input } = request;
  const shared = {
    model: settings.model,
    stream: true,
    keep_alive: settings.keepAlive,
    // Releases that know these two answer 400 instead of cutting the prompt, and end an answer where the context ends.
    truncate: false,
    ...(takesShift && { shift: false }),
    ...(think === undefined ? {} : { think }),
    ...formatOf(request.output),
    ...(request.logprobs && { logprobs: true, top_logprobs: request.logprobs.top }),
    options: optionsOf(request, settings, contextSize),
  };
  if (input.kind === 'chat') {
    const body = Object.assign(shared, { messages: chatMessages(input.messages) }, toolsOf(request));
    return { path: '/api/chat', body };
  }
  // Token ids were refused before.
  const prompt = input.kind === 'text' ? input.prompt : '';
  refuseRawPrompt(prompt, request.thinking);
  return { path: '/api/generate', body: Object.assign(shared, { prompt, raw: true }) };
}

/** The server takes a prompt without text for the wish to load the model. */
function refuseRawPrompt(prompt: string, thinking: ThinkingWish | undefined): void {
  if (prompt === '') {
    throw new ServingError('invalid_request', {
      message: 'The prompt has no tokens: write at least one.',
      param: 'prompt',
    });
  }
  if (thinking === undefined || thinking === false) return;
  throw unsupported('think', 'this model together with a raw prompt, which has no chat template', {
    advice: 'Leave one of the two away.',
  });
}

/** A model cannot be kept from calling what it is shown. */
export function callableTools({ tools }: GenerationRequest): readonly Tool[] {
  return tools === undefined || tools.choice === 'none' ? [] : tools.tools;
}

function toolsOf(request: GenerationRequest): { tools?: readonly unknown[] } {
  const tools = callableTools(request);
  return tools.length === 0 ? {} : { tools: tools.map(toolOf) };
}

/** Templates walk through the properties of all. */
function toolOf({ name, description, parameters = NO_PARAMETERS }: Tool) {
  return {
    type: 'function',
    function: { name, ...(description !== undefined && { description }), parameters },
  };
}

/** "json" or a JSON Schema, as they come; what else there is was refused before. */
function formatOf(output: OutputFormat | undefined): { format?: unknown } {
  if (output?.kind === 'json') return { format: 'json' };
  return output?.kind === 'json-schema' ? { format: output.schema } : {};
}

/** An empty prompt loads the model and answers when it is in memory. */
export function loadCall(settings: ModelSettings): OllamaCall {
  const { model, keepAlive, contextSize } = settings;
  const options = contextSize === undefined ? {} : { options: { num_ctx: contextSize } };
  return { path: '/api/generate', body: { model, keep_alive: keepAlive, stream: false, ...options } };
}

function optionsOf(
  { sampling, limits }: GenerationRequest,
  { contextSize: pinned }: ModelSettings,
  contextSize: number | undefined,
): Readonly<Record<string, unknown>> {
  return {
    num_ctx: pinned,
    // Where the context is shifted, an answer without this limit would go on and on.
    num_predict: smaller(limits.maxTokens, contextSize),
    temperature: sampling.temperature,
    top_p: sampling.topP,
    top_k: sampling.topK,
    min_p: sampling.minP,
    seed: sampling.seed,
    presence_penalty: sampling.presencePenalty,
    frequency_penalty: sampling.frequencyPenalty,
    repeat_penalty: sampling.repeatPenalty,
    stop: limits.stop.length === 0 ? undefined : limits.stop,
  };
}

function smaller(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? (one ?? other) : Math.min(one, other);
}
