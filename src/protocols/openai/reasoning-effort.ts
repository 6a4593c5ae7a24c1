/** How much a model is to think, as OpenAI says it. There is no less than low and no more than high. */
import type { ThinkingWish } from '../../core/generation.ts';

export const EFFORTS = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'] as const;

export type Effort = (typeof EFFORTS)[number];

export const THINKING: Readonly<Record<Effort, ThinkingWish>> = {
  none: false,
  minimal: 'low',
  low: 'low',
  medium: 'medium',
  high: 'high',
  xhigh: 'high',
  max: 'high',
};
