/**
 * What a model can do, as `/api/show` lists it, and whether that is enough for a request: Ollama silently ignores images and tools
 * that its model cannot take. Asked once for each model; `forget` when another model may have the name.
 */
import type { Ability } from '../../core/backend.ts';
import { asksNotToThink, FEATURES } from '../../core/features.ts';
import type { GenerationRequest } from '../../core/generation.ts';
import { asArray, asObject, type UntypedObject } from '../../upstream/untyped.ts';
import { cannotStopThinking, imagesUnsupported, thinkingUnsupported, toolsUnsupported } from './errors.ts';
import { callableTools } from './requests.ts';

/** By Ollama's names. Undefined for releases that do not list them. */
type Capabilities = readonly unknown[] | undefined;

const ABILITIES: readonly (readonly [capability: string, ability: Ability])[] = [
  ['completion', 'generate'],
  ['tools', 'tools'],
  ['thinking', 'think'],
  ['vision', 'see'],
  ['embedding', 'embed'],
];

export class CapabilityCache {
  /** The body of `/api/show`; throws a ServingError. */
  readonly #show: (signal: AbortSignal) => Promise<unknown>;
  #learned: { readonly capabilities: Capabilities; readonly alwaysThinks: boolean } | undefined;
  #isRequested = false;
  /** Counts the models that have had the name. */
  #model = 0;
  #ignoresLogprobs = false;

  constructor(show: (signal: AbortSignal) => Promise<unknown>) {
    this.#show = show;
  }

  async learn(signal: AbortSignal): Promise<Capabilities> {
    if (this.#learned === undefined) {
      const model = this.#model;
      const shown = asObject(await this.#show(signal));
      const { capabilities } = shown;
      const listed = Array.isArray(capabilities) ? asArray(capabilities) : undefined;
      // If another model has the name by now, this is good for the one request that asked.
      if (model !== this.#model) return listed;
      this.#learned = { capabilities: listed, alwaysThinks: alwaysThinks(shown) };
    }
    return this.#learned.capabilities;
  }

  /** For probes: asks at most once, and ignores a failure. */
  async learnOnce(signal: AbortSignal): Promise<void> {
    if (this.#isRequested) return;
    this.#isRequested = true;
    await this.learn(signal).catch(() => {});
  }

  /** Without asking. */
  get known(): Capabilities {
    return this.#learned?.capabilities;
  }

  get abilities(): readonly Ability[] | undefined {
    const { known } = this;
    return known && ABILITIES.flatMap(([name, ability]) => (known.includes(name) ? ability : []));
  }

  /** As far as it is known: the server ignores `think: false`. */
  get alwaysThinks(): boolean {
    return this.#learned?.alwaysThinks ?? false;
  }

  /** An answer has shown it: old releases silently omit log-probabilities. */
  get ignoresLogprobs(): boolean {
    return this.#ignoresLogprobs;
  }

  noteIgnoredLogprobs(): void {
    this.#ignoresLogprobs = true;
  }

  forget(): void {
    this.#model += 1;
    this.#learned = undefined;
    this.#isRequested = false;
    this.#ignoresLogprobs = false;
  }
}

/** It takes levels, but is never off: newer releases list what a model takes, and gpt-oss is the family that older ones have. */
function alwaysThinks({ thinking, details }: UntypedObject): boolean {
  const { values } = asObject(thinking);
  if (Array.isArray(values)) return values.length > 0 && !values.includes(false);
  return asObject(details).family === 'gptoss';
}

/** Whether the request needs something that only some models can do. */
export function dependsOnCapabilities(request: GenerationRequest): boolean {
  return request.thinking !== undefined || callsTools(request) || imagesOf(request) !== undefined;
}

/** If the release lists no capabilities, only thinking is rejected: releases that support it list it. */
export function rejectUnsupported(request: GenerationRequest, capabilities: Capabilities): void {
  const cannot = (capability: string) => capabilities !== undefined && !capabilities.includes(capability);
  const images = imagesOf(request);
  if (images !== undefined && cannot('vision')) throw imagesUnsupported(images);
  if (callsTools(request) && cannot('tools')) throw toolsUnsupported();
  const thinks = request.thinking !== undefined && request.thinking !== false;
  if (thinks && !supportsThinking(capabilities)) throw thinkingUnsupported();
  // Its models may think in their text.
  if (capabilities === undefined && asksNotToThink(request))
    throw cannotStopThinking('this release of the model’s server');
}

/** Without `think` such a model thinks. The server rejects any value of `think` for another one. */
export function supportsThinking(capabilities: Capabilities): boolean {
  return capabilities?.includes('thinking') ?? false;
}

function callsTools(request: GenerationRequest): boolean {
  return callableTools(request).length > 0;
}

/** The field with the first images. */
function imagesOf(request: GenerationRequest): string | undefined {
  return FEATURES.images.askedBy(request);
}
