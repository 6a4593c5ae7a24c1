/**
 * Calls of Ollama's native API: generations, embeddings, and loading a model. Arguments of tool calls are objects there, a tool's
 * result names the tool, and images stand beside the text: their position in it is lost. Pure.
 */
import type { EmbeddingRequest, Embeddings } from '../../core/backend.ts';
import { ServingError } from '../../core/errors.ts';
import { unsupported } from '../../core/features.ts';
import type {
  GenerationRequest,
  Message,
  OutputFormat,
  ReasoningEffort,
  Sampling,
  Tool,
  ToolCall,
} from '../../core/generation.ts';
import { withToolImagesShown } from '../../core/tool-images.ts';
import { asArray, asCount, asObject, asVectors, isObject } from '../../upstream/untyped.ts';

export interface ModelSettings {
  readonly model: string;
  readonly keepAlive: number | string;
  /** From the configuration: a request with another value would make the server reload the model. */
  readonly contextSize: number | undefined;
}

interface OllamaCall {
  readonly path: '/api/chat' | '/api/generate';
  readonly body: Readonly<Record<string, unknown>>;
}

/** What is known of the server when the request is sent. */
interface ServerFacts {
  /** Absent for models that do not support thinking: the server would reject any value. */
  readonly think: ReasoningEffort | undefined;
  /** `shift` does not make this release reload the model. */
  readonly sendsShift: boolean;
  /** This release does not ignore it. */
  readonly sendsMirostat: boolean;
  /** Tokens of the slot, if known. */
  readonly contextSize: number | undefined;
}

const NO_PARAMETERS = { type: 'object', properties: {} };

export function generateCall(
  request: GenerationRequest,
  settings: ModelSettings,
  { think, sendsShift, sendsMirostat, contextSize }: ServerFacts,
): OllamaCall {
  const { input } = request;
  const shared = {
    model: settings.model,
    stream: true,
    keep_alive: settings.keepAlive,
    // With these two, newer releases answer 400 instead of cutting the prompt, and end an answer where the context ends.
    truncate: false,
    ...(sendsShift && { shift: false }),
    ...(think === undefined ? {} : { think }),
    ...formatOf(request.output),
    ...(request.logprobs && { logprobs: true, top_logprobs: request.logprobs.top }),
    options: {
      ...optionsOf(request, settings, contextSize),
      ...(sendsMirostat && mirostatOptions(request.sampling)),
    },
  };
  if (input.kind === 'chat') {
    const body = Object.assign(shared, { messages: chatMessages(input.messages) }, toolsOf(request));
    return { path: '/api/chat', body };
  }
  // Token ids were rejected before.
  const prompt = input.kind === 'text' ? input.prompt : '';
  rejectRawPrompt(prompt, request.thinking);
  return { path: '/api/generate', body: Object.assign(shared, { prompt, raw: true }) };
}

/** To the server, an empty prompt means: load the model. */
function rejectRawPrompt(prompt: string, thinking: ReasoningEffort | undefined): void {
  if (prompt === '') {
    throw new ServingError('invalid_request', {
      message: 'The prompt has no tokens: write at least one.',
      param: 'prompt',
    });
  }
  if (thinking === undefined || thinking === false) return;
  throw unsupported('think', 'this model together with a raw prompt, which has no chat template', {
    advice: 'Remove one of the two.',
  });
}

/** A model cannot be kept from calling a tool that it sees. */
export function callableTools({ tools }: GenerationRequest): readonly Tool[] {
  return tools === undefined || tools.choice === 'none' ? [] : tools.tools;
}

function toolsOf(request: GenerationRequest): { tools?: readonly unknown[] } {
  const tools = callableTools(request);
  return tools.length === 0 ? {} : { tools: tools.map(toolOf) };
}

/** Chat templates iterate over the properties of every tool. */
function toolOf({ name, description, parameters = NO_PARAMETERS }: Tool) {
  return {
    type: 'function',
    function: { name, ...(description !== undefined && { description }), parameters },
  };
}

/** "json" or a JSON Schema. Other formats were rejected before. */
function formatOf(output: OutputFormat | undefined): { format?: unknown } {
  if (output?.kind === 'json') return { format: 'json' };
  return output?.kind === 'json-schema' ? { format: output.schema } : {};
}

/** An empty prompt loads the model; the response comes when it is in memory. */
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
    // Without this limit, an answer would never end on releases that shift the context.
    num_predict: smaller(limits.maxTokens, contextSize),
    temperature: sampling.temperature,
    top_p: sampling.topP,
    top_k: sampling.topK,
    min_p: sampling.minP,
    seed: sampling.seed,
    presence_penalty: sampling.presencePenalty,
    frequency_penalty: sampling.frequencyPenalty,
    repeat_penalty: sampling.repeatPenalty,
    repeat_last_n: sampling.repeatLastN,
    typical_p: sampling.typicalP,
    num_keep: limits.keepTokens,
    stop: limits.stop.length === 0 ? undefined : limits.stop,
  };
}

function mirostatOptions({ mirostat = {} }: Sampling): Readonly<Record<string, unknown>> {
  return { mirostat: mirostat.mode, mirostat_tau: mirostat.tau, mirostat_eta: mirostat.eta };
}

function smaller(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? (one ?? other) : Math.min(one, other);
}

type OllamaMessage = Readonly<Record<string, unknown>>;

export function chatMessages(messages: readonly Message[]): readonly OllamaMessage[] {
  // A later turn may repeat an id: a result belongs to the latest call before it.
  const names = new Map<string, string>();
  return withToolImagesShown(messages).map((message) => {
    for (const { id, name } of callsOf(message)) names.set(id, name);
    return ollamaMessage(message, { names, path: () => `messages[${messages.indexOf(message)}]` });
  });
}

/** The ids of the calls in this conversation. */
export function callIdsOf(messages: readonly Message[]): ReadonlySet<string> {
  return new Set(messages.flatMap((message) => callsOf(message).map(({ id }) => id)));
}

function callsOf(message: Message): readonly ToolCall[] {
  return message.role === 'assistant' ? (message.toolCalls ?? []) : [];
}

function ollamaMessage(
  message: Message,
  { names, path }: { readonly names: ReadonlyMap<string, string>; readonly path: () => string },
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

function earlierCall(
  { id, name, arguments: text }: ToolCall,
  index: number,
  path: () => string,
): OllamaMessage {
  const values = argumentsOf(text, () => `${path()}.tool_calls[${index}].arguments`);
  return { id, function: { name, arguments: values } };
}

function argumentsOf(text: string, path: () => string): Readonly<Record<string, unknown>> {
  try {
    const values: unknown = JSON.parse(text);
    if (isObject(values)) return values;
  } catch {
    // Reported below.
  }
  const param = path();
  throw new ServingError('invalid_request', { message: `${param} must be a JSON object.`, param });
}

interface EmbedCall {
  readonly path: '/api/embed';
  readonly body: Readonly<Record<string, unknown>>;
}

/** Without a text it loads the model; the response comes when it is in memory. */
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

/** Old releases ignore `dimensions`, and none returns more than the model's own: then the vectors have another length. */
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
  // A text that is too long is rejected, not cut.
  return {
    path: '/api/embed',
    body: { model, ...asked, keep_alive: keepAlive, truncate: false, ...options },
  };
}

function tokensUnsupported(): ServingError {
  return new ServingError('unsupported_parameter', {
    message:
      'input contains token ids, but this model is served by the ollama backend, which embeds text only. Send text.',
    param: 'input',
  });
}
