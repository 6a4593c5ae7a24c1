/** Whether the model itself can do what a request asks: a server passes over images and tools that its model cannot take. Pure. */
import { FEATURES } from '../../core/features.ts';
import type { GenerationRequest } from '../../core/generation.ts';
import type { Capabilities } from './model-abilities.ts';
import { callableTools } from './request-body.ts';
import { cannotSee, cannotThink, cannotUseTools } from './upstream-error.ts';

/** Whether the answer depends on what the model can do. */
export function needsToKnow(request: GenerationRequest): boolean {
  return request.thinking !== undefined || callsTools(request) || imagesOf(request) !== undefined;
}

/** Where the release does not tell, only thinking is refused: releases that know it tell. */
export function refuseInability(request: GenerationRequest, capabilities: Capabilities): void {
  const cannot = (capability: string) => capabilities !== undefined && !capabilities.includes(capability);
  const images = imagesOf(request);
  if (images !== undefined && cannot('vision')) throw cannotSee(images);
  if (callsTools(request) && cannot('tools')) throw cannotUseTools();
  const thinks = request.thinking !== undefined && request.thinking !== false;
  if (thinks && !canThink(capabilities)) throw cannotThink();
}

/** A model that can think does so unless it is told not to; one that cannot refuses the word. */
export function canThink(capabilities: Capabilities): boolean {
  return capabilities?.includes('thinking') ?? false;
}

function callsTools(request: GenerationRequest): boolean {
  return callableTools(request).length > 0;
}

/** The field of the first ones. */
function imagesOf(request: GenerationRequest): string | undefined {
  return FEATURES.images.askedBy(request);
}
