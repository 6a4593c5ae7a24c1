import { hostname } from 'node:os';
import { describe, expect, it } from 'vitest';
import { operatorOf, thisOperator } from '../../../src/cli/operator.ts';

const facts = { user: 'alice', userId: 1000, sudoUser: undefined, host: 'build-7' };

describe('who types a command', () => {
  it('is the user of the system, and the machine', () => {
    expect(operatorOf(facts)).toEqual({ actor: 'command line: alice', address: 'build-7' });
  });

  it('is also who has become that user by sudo', () => {
    expect(operatorOf({ ...facts, user: 'root', userId: 0, sudoUser: 'bob' }).actor).toBe(
      'command line: root, sudo by bob',
    );
  });

  it('is a number where the system knows no name, as in containers', () => {
    expect(operatorOf({ ...facts, user: undefined }).actor).toBe('command line: user 1000');
    expect(operatorOf({ ...facts, user: '' }).actor).toBe('command line: user 1000');
    expect(operatorOf({ ...facts, user: undefined, userId: undefined }).actor).toBe(
      'command line: unknown user',
    );
  });

  it('is one line of a bounded length, whatever names are', () => {
    const odd = operatorOf({
      user: 'a\nb\u202e',
      userId: 1,
      sudoUser: '\u001b[2J'.repeat(1000),
      host: `h\r${'x'.repeat(1000)}`,
    });
    expect(odd.actor).toMatch(/^command line: a\\u000ab\\u202e, sudo by \\u001b\[2J/);
    expect(odd.actor.length).toBeLessThan(200);
    expect(odd.address).toMatch(/^h\\u000dx{5}/);
    expect(odd.address.length).toBeLessThan(70);
  });

  it('is read from this machine', () => {
    const { actor, address } = thisOperator();
    expect(actor).toMatch(/^command line: \S/);
    expect(hostname().startsWith(address.replace(/…$/, ''))).toBe(true);
  });
});
