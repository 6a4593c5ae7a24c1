/** Which features the embedded engine has, and the refusal of all others before anything is sent to it. */
import { type Feature, refuseUnsupported } from '../../core/features.ts';
import type { GenerationRequest, RequestId } from '../../core/generation.ts';

const SUPPORTED: readonly Feature[] = [
  'json',
  'json-schema',
  'grammar',
  'regex',
  'choice',
  'tools',
  'tool-choice',
  'single-tool-call',
  'continuation',
  'token-prompt',
  'tool-messages',
  'format-beside-tools',
  'logprobs',
  'logit-bias',
  'bad-words',
  'top-k',
  'min-p',
  'repeat-penalty',
  'stop-tokens',
  'min-tokens',
  'ignore-eos',
  // Asked of the model itself.
  'think',
];

export function refuseUnsupportedByEngine(request: GenerationRequest): void {
  refuseUnsupported(request, { backend: 'llama-cpp', supports: SUPPORTED });
}

/** A prompt alone asks for less than a generation: whatever it is held to, it is the same. */
export function refuseUnsupportedPrompt(asked: Pick<GenerationRequest, 'input' | 'tools'>): void {
  const request = { id: '' as RequestId, model: '', sampling: {}, limits: { stop: [] }, ...asked };
  refuseUnsupported(request, { backend: 'llama-cpp', supports: [...SUPPORTED, 'strict-tools'] });
}
