/**
 * The request that every protocol is parsed into, the events that every backend yields, and the result that they add up to.
 * The events of a generation end with exactly one `finish`, or it fails with a ServingError.
 */

/** Our own id of a request; never taken from a client. */
export type RequestId = string & { readonly __brand: 'RequestId' };

/** The name clients use for a model. */
export type ModelId = string;

/** `content` is plain text: special tokens written in it are text, they never end a turn. */
export type Message =
  | { readonly role: 'system'; readonly content: string }
  | { readonly role: 'user'; readonly content: string; readonly images?: readonly Image[] }
  | {
      readonly role: 'assistant';
      readonly content: string;
      /** The reasoning before it, for templates that take it. */
      readonly reasoning?: string;
      readonly toolCalls?: readonly ToolCall[];
    }
  /** The result of the tool call with that id. */
  | {
      readonly role: 'tool';
      readonly content: string;
      readonly toolCallId?: string;
      readonly images?: readonly Image[];
    };

export type Role = Message['role'];

/** An image that the client sent: never a URL, since nothing is fetched for a client. */
export interface Image {
  /** `image/png` and the like. */
  readonly mediaType: string;
  readonly base64: string;
  /** Its position in the message: the number of characters of the content before it. */
  readonly at: number;
}

export type GenerationInput =
  | {
      readonly kind: 'chat';
      readonly messages: readonly Message[];
      /** The answer continues the last message, the assistant's and without calls, instead of beginning a turn. */
      readonly continuesLast?: true;
    }
  /** No chat template; special tokens in the prompt are parsed. */
  | { readonly kind: 'text'; readonly prompt: string }
  /** No chat template: ids of the model's vocabulary, at least one, as they are. */
  | { readonly kind: 'tokens'; readonly tokens: readonly number[] };

/** Absent fields keep the model's own defaults. `topK` 0 is off. */
export interface Sampling {
  readonly temperature?: number;
  readonly topP?: number;
  readonly topK?: number;
  readonly minP?: number;
  readonly seed?: number;
  readonly presencePenalty?: number;
  readonly frequencyPenalty?: number;
  readonly repeatPenalty?: number;
  /** Penalties look back at so many tokens: 0 none, -1 the whole context. */
  readonly repeatLastN?: number;
  /** Locally typical sampling; 1 is off. */
  readonly typicalP?: number;
  readonly mirostat?: Mirostat;
  /** Added to the logits of tokens; -100 rules a token out. */
  readonly logitBias?: readonly TokenBias[];
  /** Texts that never occur in an answer: after all tokens of one but its last, the last is ruled out. */
  readonly badWords?: readonly string[];
}

/** Sampling that steers towards a target entropy instead of cutting by `topK` and `topP`. */
export interface Mirostat {
  /** 0 is off; absent: the model's own. */
  readonly mode?: 0 | 1 | 2;
  readonly tau?: number;
  readonly eta?: number;
}

export interface TokenBias {
  /** Its id in the model's vocabulary. */
  readonly token: number;
  readonly bias: number;
}

export interface Limits {
  /** Upper bound of completion tokens, which the backend lowers to what the context leaves. Absent: what the context leaves. */
  readonly maxTokens?: number;
  /** `maxTokens` is the server's default, not the client's choice, so it does not tell how long the answer will be. */
  readonly maxTokensIsDefault?: boolean;
  /** Generation ends before any of these; none is empty, none is ever part of the text. */
  readonly stop: readonly string[];
  /** Generation ends with any of these tokens of the model's vocabulary, which are no part of the text. */
  readonly stopTokens?: readonly number[];
  /** The model does not end its turn before that many completion tokens. */
  readonly minTokens?: number;
  /** Tokens at the beginning that stay where a server shifts the context; -1: the whole prompt. */
  readonly keepTokens?: number;
  /** The model never ends its turn: the answer ends by a stop string or its length. */
  readonly ignoreEos?: true;
}

/** Of its client, not the server's default, which cuts all answers alike. */
export function hasOwnBound({
  maxTokens,
  maxTokensIsDefault,
}: Pick<Limits, 'maxTokens' | 'maxTokensIsDefault'>): boolean {
  return maxTokens !== undefined && maxTokensIsDefault !== true;
}

/** Whether the model reasons before it answers, and how much. */
export type ReasoningEffort = boolean | 'low' | 'medium' | 'high';

/** What the text of an answer must be; absent: anything. */
export type OutputFormat =
  /** Any JSON object. */
  | { readonly kind: 'json' }
  /** JSON that the schema allows. */
  | { readonly kind: 'json-schema'; readonly schema: unknown }
  /** What a GBNF grammar allows, from its rule `root`. */
  | { readonly kind: 'grammar'; readonly grammar: string }
  /** What the regular expression matches as a whole. */
  | { readonly kind: 'regex'; readonly regex: string }
  /** Exactly one of these texts. */
  | { readonly kind: 'choice'; readonly choices: readonly string[] };

export interface Tool {
  /** Unique within a request. */
  readonly name: string;
  readonly description?: string;
  /** The JSON Schema of the arguments, an object; absent: it takes none. */
  readonly parameters?: unknown;
  /** The arguments follow `parameters` also where the model itself decides to call; those of a forced call always do. */
  readonly strict?: true;
}

/** `required`: at least one call, of any tool; a name: at least one call, of that tool. */
export type ToolChoice = 'auto' | 'none' | 'required' | { readonly name: string };

export interface ToolUse {
  /** At least one. */
  readonly tools: readonly Tool[];
  readonly choice: ToolChoice;
  /** An answer has one call at most; absent: as many as the model wants. */
  readonly single?: true;
}

/** The model asks for a tool to be called. `arguments` is the text of a JSON object. */
export interface ToolCall {
  readonly id: string;
  readonly name: string;
  readonly arguments: string;
}

/** The log-probability of each token of the answer is returned, and of the `top` likeliest tokens at its position. */
export interface LogprobsOptions {
  readonly top: number;
}

export interface GenerationRequest {
  readonly id: RequestId;
  readonly model: ModelId;
  readonly input: GenerationInput;
  readonly sampling: Sampling;
  readonly limits: Limits;
  /** Absent: the model's default. */
  readonly thinking?: ReasoningEffort;
  /** `thinking` is what the protocol has where a client says nothing of it: no client is told that it had no effect. */
  readonly thinkingIsDefault?: true;
  readonly output?: OutputFormat;
  /** Only with chat input. */
  readonly tools?: ToolUse;
  readonly logprobs?: LogprobsOptions;
  /** Fields that no protocol here knows, as the client wrote them: for backends that pass them on by name; all others ignore them. */
  readonly extras?: Readonly<Record<string, unknown>>;
}

/** `tool_calls`: the model waits for the results of its tools. `content_filter`: the backend refused to go on. */
export type FinishReason = 'stop' | 'length' | 'tool_calls' | 'content_filter';

/** Natural logarithms of probabilities, before any sampling setting but logit bias and penalties has changed them. */
export interface LikelyToken {
  /** Its id in the model's vocabulary, where the backend reports it. */
  readonly token?: number;
  /** A token may be a part of a character. */
  readonly bytes: readonly number[];
  readonly logprob: number;
}

export interface TokenLogprob extends LikelyToken {
  /** Likeliest first. */
  readonly top: readonly LikelyToken[];
}

export type GenerationEvent =
  | { readonly type: 'start'; readonly promptTokens?: number; readonly cachedTokens?: number }
  /** Never empty, never half a character. `logprobs`: of the tokens that came since the last text. */
  | { readonly type: 'text'; readonly text: string; readonly logprobs?: readonly TokenLogprob[] }
  | { readonly type: 'reasoning'; readonly text: string }
  /** A call begins with its `id` and `name`; the text of its arguments follows in pieces. */
  | { readonly type: 'tool-call'; readonly index: number; readonly id: string; readonly name: string }
  | { readonly type: 'tool-arguments'; readonly index: number; readonly delta: string }
  | {
      readonly type: 'finish';
      readonly reason: FinishReason;
      readonly matchedStop?: string;
      readonly usage: Usage;
    };

/** What one generation consumed, in tokens. */
export interface Usage {
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** The part of `completionTokens` that is reasoning, where it is counted separately. */
  readonly reasoningTokens?: number;
  /** The part of `promptTokens` that was already in the model's cache. */
  readonly cachedTokens: number;
}

/** A whole generation. */
export interface GenerationResult {
  readonly text: string;
  /** Empty where the model did not reason. */
  readonly reasoning: string;
  readonly toolCalls: readonly ToolCall[];
  /** Of all tokens of the text; empty where they were not asked for. */
  readonly logprobs: readonly TokenLogprob[];
  readonly finishReason: FinishReason;
  /** The stop string that ended it, where one did and the backend reports which. */
  readonly matchedStop?: string;
  readonly usage: Usage;
}

/** Adds up the events of one generation. */
export class ResultBuilder {
  #text = '';
  #reasoning = '';
  readonly #calls: { id: string; name: string; arguments: string }[] = [];
  readonly #logprobs: TokenLogprob[] = [];

  /** Returns the result with `finish`. */
  add(event: GenerationEvent): GenerationResult | undefined {
    switch (event.type) {
      case 'start':
        return undefined;
      case 'text':
        this.#text += event.text;
        if (event.logprobs) this.#logprobs.push(...event.logprobs);
        return undefined;
      case 'reasoning':
        this.#reasoning += event.text;
        return undefined;
      case 'tool-call':
        this.#calls[event.index] = { id: event.id, name: event.name, arguments: '' };
        return undefined;
      case 'tool-arguments': {
        const call = this.#calls[event.index];
        if (call) call.arguments += event.delta;
        return undefined;
      }
      case 'finish':
        return {
          text: this.#text,
          reasoning: this.#reasoning,
          toolCalls: this.#calls,
          logprobs: this.#logprobs,
          finishReason: event.reason,
          ...(event.matchedStop !== undefined && { matchedStop: event.matchedStop }),
          usage: event.usage,
        };
      default:
        throw event satisfies never;
    }
  }
}
