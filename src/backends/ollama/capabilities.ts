/**
 * What the model behind a name can do, as `/api/show` tells it. Asked once for as long as the same model is there; `forget`
 * is for when another model, or another release of the server, may answer to the name.
 */

import type { Ability } from '../../core/backend.ts';
import { FEATURES } from '../../core/features.ts';
import type { GenerationRequest } from '../../core/generation.ts';
import { asArray, asObject } from '../../upstream/untyped.ts';
import { imagesUnsupported, thinkingUnsupported, toolsUnsupported } from './errors.ts';
import { callableTools } from './requests.ts';

/** In Ollama's words; `undefined` where its release does not tell. */
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
  #asked: { readonly capabilities: Capabilities } | undefined;
  #isLookedFor = false;
  /** Counts the models that had the name. */
  #model = 0;
  #ignoresLogprobs = false;

  constructor(show: (signal: AbortSignal) => Promise<unknown>) {
    this.#show = show;
  }

  async learn(signal: AbortSignal): Promise<Capabilities> {
    if (this.#asked === undefined) {
      const model = this.#model;
      const { capabilities } = asObject(await this.#show(signal));
      const told = Array.isArray(capabilities) ? asArray(capabilities) : undefined;
      // Another may have the name by now: then this answers the one request that asked, and no other.
      if (model !== this.#model) return told;
      this.#asked = { capabilities: told };
    }
    return this.#asked.capabilities;
  }

  /** For probes: asks at most once, and a failure says nothing. */
  async learnOnce(signal: AbortSignal): Promise<void> {
    if (this.#isLookedFor) return;
    this.#isLookedFor = true;
    await this.learn(signal).catch(() => {});
  }

  /** Without asking for it. */
  get known(): Capabilities {
    return this.#asked?.capabilities;
  }

  get abilities(): readonly Ability[] | undefined {
    const { known } = this;
    return known && ABILITIES.flatMap(([name, ability]) => (known.includes(name) ? ability : []));
  }

  /** Releases that do not know log-probabilities leave them away silently: an answer has shown it. */
  get ignoresLogprobs(): boolean {
    return this.#ignoresLogprobs;
  }

  noteIgnoredLogprobs(): void {
    this.#ignoresLogprobs = true;
  }

  forget(): void {
    this.#model += 1;
    this.#asked = undefined;
    this.#isLookedFor = false;
    this.#ignoresLogprobs = false;
  }
}

/** Whether the model itself can do what a request asks: a server passes over images and tools that its model cannot take. Pure. */

/** Whether the answer depends on what the model can do. */
export function dependsOnCapabilities(request: GenerationRequest): boolean {
  return request.thinking !== undefined || callsTools(request) || imagesOf(request) !== undefined;
}

/** Where the release does not tell, only thinking is refused: releases that know it tell. */
export function rejectUnsupported(request: GenerationRequest, capabilities: Capabilities): void {
  const cannot = (capability: string) => capabilities !== undefined && !capabilities.includes(capability);
  const images = imagesOf(request);
  if (images !== undefined && cannot('vision')) throw imagesUnsupported(images);
  if (callsTools(request) && cannot('tools')) throw toolsUnsupported();
  const thinks = request.thinking !== undefined && request.thinking !== false;
  if (thinks && !supportsThinking(capabilities)) throw thinkingUnsupported();
}

/** A model that can think does so unless it is told not to; one that cannot refuses the word. */
export function supportsThinking(capabilities: Capabilities): boolean {
  return capabilities?.includes('thinking') ?? false;
}

function callsTools(request: GenerationRequest): boolean {
  return callableTools(request).length > 0;
}

/** The field of the first ones. */
function imagesOf(request: GenerationRequest): string | undefined {
  return FEATURES.images.askedBy(request);
}
