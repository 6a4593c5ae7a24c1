import { describe, expect, it } from 'vitest';
import { mayBeOfRequest, SuspectFaults } from '../../../src/scheduling/suspect-faults.ts';

describe('a fault that may be the doing of its request', () => {
  const request = {};

  it('is one that a server answered with', () => {
    const causes = ['server_error', 'misconfigured', 'garbage', 'reset', 'unreachable', 'cut'] as const;
    expect(causes.filter(mayBeOfRequest)).toEqual(['server_error', 'misconfigured', 'garbage']);
  });

  it('counts once when the request is answered after all', () => {
    const faults = new SuspectFaults<string>();
    faults.hold(request, 'one');
    faults.hold(request, 'two');
    expect(faults.answered({})).toEqual([]);
    expect(faults.answered(request)).toEqual(['one', 'two']);
    expect(faults.answered(request)).toEqual([]);
  });

  it('counts when the request fails and no other target was asked', () => {
    const faults = new SuspectFaults<string>();
    faults.hold(request, 'one');
    expect(faults.failed(request, 1)).toEqual(['one']);
  });

  it('counts for nobody when the request fails at several targets', () => {
    const faults = new SuspectFaults<string>();
    faults.hold(request, 'one');
    faults.hold(request, 'two');
    expect(faults.failed(request, 2)).toEqual([]);
    expect(faults.answered(request)).toEqual([]);
  });
});
