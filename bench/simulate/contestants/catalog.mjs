// Who is compared, each with what it is called in tables and charts, and its colour and marker there.
import { barrier } from './barrier.mjs';
import { fifo } from './fifo.mjs';
import { ours } from './ours.mjs';
import { unlimited } from './unlimited.mjs';

export const CONTESTANTS = {
  ours: { label: 'llm-serve', create: ours, style: 0 },
  fifo: { label: 'plain queue', create: fifo, style: 1 },
  barrier: { label: 'batch barrier', create: barrier, style: 2 },
  unlimited: { label: 'no limit', create: unlimited, style: 3 },
};
