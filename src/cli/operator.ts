/**
 * Who types a command, and on which machine, for the audit log: as the operating system tells. All of it is text of others, so it becomes one
 * line of a bounded length.
 */
import { hostname, userInfo } from 'node:os';
import type { AuditActor } from '../access/audit-trail.ts';
import { readEnvironment } from '../config/environment.ts';
import { printableLine } from '../core/log.ts';

export interface OperatorFacts {
  /** Undefined: the system knows no name for it, as in containers. */
  readonly user: string | undefined;
  readonly userId: number | undefined;
  /** Who has become that user by sudo. */
  readonly sudoUser: string | undefined;
  readonly host: string;
}

const MAX_LENGTH = 64;

/** Pure. */
export function operatorOf({ user, userId, sudoUser, host }: OperatorFacts): AuditActor {
  const name = user || (userId === undefined ? 'unknown user' : `user ${userId}`);
  const by = sudoUser ? `, sudo by ${bounded(sudoUser)}` : '';
  return { actor: `command line: ${bounded(name)}${by}`, address: bounded(host) };
}

export function thisOperator(): AuditActor {
  return operatorOf({
    user: userName(),
    userId: process.getuid?.(),
    sudoUser: readEnvironment().SUDO_USER,
    host: hostname(),
  });
}

/** A container may run as a user that has no entry in its list of users. */
function userName(): string | undefined {
  try {
    return userInfo().username;
  } catch {
    return undefined;
  }
}

function bounded(text: string): string {
  const line = printableLine(text);
  return line.length > MAX_LENGTH ? `${line.slice(0, MAX_LENGTH)}…` : line;
}
