import { describe, expect, it } from 'vitest';
import type { ServingError } from '../../../src/core/errors.ts';
import { BodyBudget } from '../../../src/http/body-budget.ts';

function budgetOf(maxBytes: number) {
  const budget = new BodyBudget(maxBytes);
  const refused: string[] = [];
  const errors: ServingError[] = [];
  const open = (client: string, name = client) =>
    budget.open(client, (error) => {
      refused.push(name);
      errors.push(error);
    });
  return { budget, open, refused, errors };
}

describe('the bytes of bodies under way', () => {
  it('are those that have arrived and have not been given back', () => {
    const { budget, open } = budgetOf(100);
    const body = open('a');
    expect(budget.bytes).toBe(0);
    body.add(30);
    body.add(20);
    open('b').add(10);
    expect(budget.bytes).toBe(60);
    body.release();
    expect(budget.bytes).toBe(10);
  });

  it('are given back once, however often it is asked for', () => {
    const { budget, open } = budgetOf(100);
    const body = open('a');
    body.add(30);
    open('a').add(5);
    body.release();
    body.release();
    body.add(50);
    expect(budget.bytes).toBe(5);
  });

  it('fill the bound to its last byte', () => {
    const { open, refused } = budgetOf(100);
    open('a').add(100);
    expect(refused).toEqual([]);
  });
});

describe('beyond the bound', () => {
  it('the client that holds most loses its largest body, whoever sent the byte too many', () => {
    const { budget, open, refused } = budgetOf(100);
    open('flood', 'flood small').add(30);
    open('flood', 'flood large').add(40);
    open('single').add(25);
    open('light').add(10);
    expect(refused).toEqual(['flood large']);
    expect(budget.bytes).toBe(65);
  });

  it('of equal bodies the newest goes', () => {
    const { open, refused } = budgetOf(100);
    open('flood', 'first').add(50);
    open('flood', 'second').add(50);
    open('light').add(1);
    expect(refused).toEqual(['second']);
  });

  it('as many go as are needed, and what goes is a 503 that says when to retry', () => {
    const { budget, open, refused, errors } = budgetOf(100);
    for (const name of ['1', '2', '3', '4']) open('flood', name).add(25);
    open('other').add(60);
    // Until the other holds more than what is left of the flood.
    expect(refused).toEqual(['4', '3', 'other']);
    expect(budget.bytes).toBe(50);
    expect(errors[0]).toMatchObject({ code: 'server_busy', retryAfterSeconds: 1 });
  });

  it('what was refused counts no more, also when it sends on', () => {
    const { budget, open } = budgetOf(100);
    const body = open('a');
    body.add(101);
    body.add(1000);
    body.release();
    expect(budget.bytes).toBe(0);
  });
});
