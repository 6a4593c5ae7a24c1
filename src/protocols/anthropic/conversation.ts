/**
 * Messages become the core's. Invariant: the results of tools come first in the turn after the calls they answer, and each call
 * has its one.
 */
import type { Message } from '../../core/generation.ts';
import { plainTurns } from '../../core/plain-turns.ts';
import { CallLedger } from '../call-ledger.ts';
import { assistantTurn } from './assistant-turn.ts';
import { readSystem } from './content.ts';
import { Prose } from './prose.ts';
import { blocksOf, type Turn, turnsOf } from './turns.ts';
import { requireAnswers, userTurn } from './user-turn.ts';

/** A line about the client, for another service than this: it differs with every request, and would keep the rest from being cached. */
const NOT_FOR_THE_MODEL = 'x-anthropic-billing-header:';

export function parseConversation(system: unknown, messages: readonly unknown[]): readonly Message[] {
  const ledger = new CallLedger();
  return plainTurns([
    ...parseSystem(system),
    ...turnsOf(messages).flatMap((turn): readonly Message[] => {
      switch (turn.role) {
        case 'user':
          return userTurn(turn, ledger);
        case 'assistant':
          return [assistantTurn(turn, ledger)];
        case 'system':
          requireAnswers(turn, ledger);
          return systemTurn(turn);
        default:
          throw turn.role satisfies never;
      }
    }),
  ]);
}

function parseSystem(raw: unknown): readonly Message[] {
  if (raw === undefined) return [];
  return systemTurn({ role: 'system', messages: [{ content: raw, path: 'system' }] });
}

function systemTurn(turn: Turn): readonly Message[] {
  const prose = new Prose();
  for (const { placed, between } of blocksOf(turn, readSystem)) {
    const { block } = placed;
    // That tools come and go shows in the tools themselves.
    if (block.type === 'text' && !block.text.startsWith(NOT_FOR_THE_MODEL)) prose.say(block.text, between);
  }
  return prose.isEmpty ? [] : [{ role: 'system', content: prose.text }];
}
