/** A generation request in the words of Ollama's native API. Pure. */

import type { EmbeddingRequest, Embeddings } from '../../core/backend.ts';
import { ServingError } from '../../core/errors.ts';
import { unsupported } from '../../core/features.ts';
import type {
  GenerationRequest,
  Message,
  OutputFormat,
  ReasoningEffort,
  Tool,
  ToolCall,
} from '../../core/generation.ts';
import { asArray, asCount, asObject, asVectors, isObject } from '../../upstream/untyped.ts';

export interface ModelSettings {
  readonly model: string;
  readonly keepAlive: number | string;
  /** Pinned by the configuration: a request with another value would make the server reload the model. */
  readonly contextSize: number | undefined;
}

interface OllamaCall {
  readonly path: '/api/chat' | '/api/generate';
  readonly body: Readonly<Record<string, unknown>>;
}

/** What is known of the server when a request goes to it. */
interface ServerFacts {
  /** Absent for models that cannot think: any value would be refused for them. */
  readonly think: ReasoningEffort | undefined;
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
function refuseRawPrompt(prompt: string, thinking: ReasoningEffort | undefined): void {
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

/**
 * The messages of a chat in Ollama's words: arguments of calls are objects there, and what a tool answered names the tool.
 * Where in a message its images are is lost: Ollama has them beside the text. Pure.
 */

type OllamaMessage = Readonly<Record<string, unknown>>;

export function chatMessages(messages: readonly Message[]): readonly OllamaMessage[] {
  // Ids may come again in a later turn: an answer belongs to the latest call before it.
  const names = new Map<string, string>();
  return messages.map((message, index) => {
    for (const { id, name } of callsOf(message)) names.set(id, name);
    return ollamaMessage(message, { names, path: `messages[${index}]` });
  });
}

/** Ids that calls of this conversation have already. */
export function callIdsOf(messages: readonly Message[]): ReadonlySet<string> {
  return new Set(messages.flatMap((message) => callsOf(message).map(({ id }) => id)));
}

function callsOf(message: Message): readonly ToolCall[] {
  return message.role === 'assistant' ? (message.toolCalls ?? []) : [];
}

function ollamaMessage(
  message: Message,
  { names, path }: { readonly names: ReadonlyMap<string, string>; readonly path: string },
): OllamaMessage {
  const { role, content } = message;
  switch (message.role) {
    case 'system':
      return { role, content };
    case 'user': {
      const { images } = message;
      return { role, content, ...(images && { images: images.map(({ base64 }) => base64) }) };
    }
    case 'assistant': {
      const { reasoning, toolCalls } = message;
      return {
        role,
        content,
        ...(reasoning !== undefined && { thinking: reasoning }),
        ...(toolCalls && { tool_calls: toolCalls.map((call, index) => earlierCall(call, index, path)) }),
      };
    }
    case 'tool': {
      const { toolCallId } = message;
      if (toolCallId === undefined) return { role, content };
      const name = names.get(toolCallId);
      return { role, content, ...(name !== undefined && { tool_name: name }), tool_call_id: toolCallId };
    }
    default:
      return message satisfies never;
  }
}

function earlierCall({ id, name, arguments: text }: ToolCall, index: number, path: string): OllamaMessage {
  return { id, function: { name, arguments: argumentsOf(text, `${path}.tool_calls[${index}].arguments`) } };
}

function argumentsOf(text: string, path: string): Readonly<Record<string, unknown>> {
  try {
    const values: unknown = JSON.parse(text);
    if (isObject(values)) return values;
  } catch {
    // Said below.
  }
  throw new ServingError('invalid_request', { message: `${path} must be a JSON object.`, param: path });
}

/** Embeddings in the words of Ollama's native API, which gives vectors of length 1. Pure. */

interface EmbedCall {
  readonly path: '/api/embed';
  readonly body: Readonly<Record<string, unknown>>;
}

/** Without a text it loads the model and answers when that is in memory. */
export function loadEmbedderCall(settings: ModelSettings): EmbedCall {
  return embedEndpointCall({ input: [] }, settings);
}

export function embedCall(
  { inputs, dimensions }: Pick<EmbeddingRequest, 'inputs' | 'dimensions'>,
  settings: ModelSettings,
): EmbedCall {
  if (!inputs.every((input) => typeof input === 'string')) throw tokensUnsupported();
  return embedEndpointCall({ input: inputs, ...(dimensions !== undefined && { dimensions }) }, settings);
}

/** Old releases do not know `dimensions`, and none makes a vector longer than the model's: both give the model's own. */
export function readEmbeddings(
  body: unknown,
  { inputs, dimensions }: Pick<EmbeddingRequest, 'inputs' | 'dimensions'>,
): Embeddings {
  const { embeddings, prompt_eval_count } = asObject(body);
  const vectors = asVectors(asArray(embeddings), inputs.length);
  const size = vectors[0]?.length;
  if (dimensions !== undefined && size !== dimensions)
    throw unsupported('dimensions', 'this model on its Ollama server', {
      advice: `Its vectors have ${size} numbers.`,
    });
  return { vectors, promptTokens: asCount(prompt_eval_count) ?? 0 };
}

function embedEndpointCall(asked: Readonly<Record<string, unknown>>, settings: ModelSettings): EmbedCall {
  const { model, keepAlive, contextSize } = settings;
  const options = contextSize === undefined ? {} : { options: { num_ctx: contextSize } };
  // A text that is too long is to be refused, not cut.
  return {
    path: '/api/embed',
    body: { model, ...asked, keep_alive: keepAlive, truncate: false, ...options },
  };
}

function tokensUnsupported(): ServingError {
  return new ServingError('unsupported_parameter', {
    message:
      'input has tokens, but the ollama backend, which serves this model, embeds text only. Send the text.',
    param: 'input',
  });
}
