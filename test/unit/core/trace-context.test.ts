/** The cases of the W3C's own test suite for trace context, level 1 and 2, where they concern a server. */
import { describe, expect, it } from 'vitest';
import { joinTrace, readCallerContext, type TraceOptions } from '../../../src/core/trace-context.ts';

const TRACE = '12345678901234567890123456789012';
const PARENT = '1234567890123456';
const VALID = `00-${TRACE}-${PARENT}-01`;

describe('a traceparent', () => {
  it.each([
    ['as it should be', VALID],
    ['of a version to come', `cc-${TRACE}-${PARENT}-01`],
    ['of a version to come, with more fields', `cc-${TRACE}-${PARENT}-01-what-the-future-will-be-like`],
    ['of a version to come, with 256 characters', `cc-${TRACE}-${PARENT}-01-${'x'.repeat(200)}`],
    ['with flags that are not known', `00-${TRACE}-${PARENT}-ff`],
  ])('%s counts', (_, header) => {
    expect(readCallerContext(header, undefined)).toMatchObject({
      traceparent: header,
      traceId: TRACE,
      spanId: PARENT,
    });
  });

  it.each([
    ['that is not there', undefined],
    ['that is empty', ''],
    ['of the forbidden version', `ff-${TRACE}-${PARENT}-01`],
    ['whose version has one digit', `0-${TRACE}-${PARENT}-01`],
    ['whose version has three digits', `000-${TRACE}-${PARENT}-01`],
    ['whose version is no number', `.0-${TRACE}-${PARENT}-01`],
    ['of version 0 with more fields', `${VALID}-what`],
    ['of version 0 with a dash at its end', `${VALID}-`],
    ['of a version to come with something stuck to it', `cc-${TRACE}-${PARENT}-01.what`],
    ['whose trace id is all zero', `00-${'0'.repeat(32)}-${PARENT}-01`],
    ['whose trace id has capitals', `00-${'A'.repeat(32)}-${PARENT}-01`],
    ['whose trace id is too short', `00-${TRACE.slice(1)}-${PARENT}-01`],
    ['whose trace id is too long', `00-${TRACE}0-${PARENT}-01`],
    ['whose parent id is all zero', `00-${TRACE}-${'0'.repeat(16)}-01`],
    ['whose parent id has a wrong character', `00-${TRACE}-.234567890123456-01`],
    ['whose parent id is too short', `00-${TRACE}-${PARENT.slice(1)}-01`],
    ['whose flags have one digit', `00-${TRACE}-${PARENT}-1`],
    ['whose flags have three digits', `00-${TRACE}-${PARENT}-001`],
    ['whose flags are no number', `00-${TRACE}-${PARENT}-.0`],
    ['of a version to come with more than 256 characters', `cc-${TRACE}-${PARENT}-01-${'x'.repeat(201)}`],
    ['with spaces in it', `00-${TRACE} -${PARENT}-01`],
    ['that was sent twice', `${VALID}, ${VALID}`],
  ])('%s does not count', (_, header) => {
    expect(readCallerContext(header, 'a=1')).toBeUndefined();
  });
});

describe('a tracestate', () => {
  const read = (header: string | undefined) => readCallerContext(VALID, header)?.tracestate;
  const members = (count: number) => Array.from({ length: count }, (_, index) => `k${index}=v`).join(',');

  it.each([
    ['of one member', 'foo=1'],
    ['of several', 'foo=1,bar=2'],
    ['with spaces and tabs around members', 'foo=1 \t , \t bar=2'],
    ['with empty members', 'foo=1,,bar=2'],
    ['with every character that a key may have', 'abcdefghijklmnopqrstuvwxyz0123456789_-*/=1'],
    ['of a tenant', 'tenant@system=1'],
    ['whose key begins with a digit', '1a-2f@foo=1'],
    ['with every kind of character in its value', 'foo=!"#$%&\'()*+-./09:;<>?@AZ[\\]^_`az{|}~'],
    ['with a space inside its value', 'foo=a b'],
    ['with the longest keys', `${'z'.repeat(240)}@${'v'.repeat(14)}=1`],
    ['of 32 members', members(32)],
    ['whose keys repeat', 'foo=1,foo=2'],
  ])('%s goes along as it is', (_, header) => {
    expect(read(header)).toBe(header);
  });

  it.each([
    ['that is empty', ''],
    ['of empty members', ' , ,'],
    ['of 33 members', members(33)],
    ['with a space in a key', 'foo =1'],
    ['with capitals in a key', 'FOO=1'],
    ['with a dot in a key', 'foo.bar=1'],
    ['whose tenant has no system', 'foo@=1,bar=2'],
    ['whose system has no tenant', '@foo=1,bar=2'],
    ['with two at signs', 'foo@@bar=1'],
    ['with three parts', 'foo@bar@baz=1'],
    ['with a key of 257 characters', `${'z'.repeat(257)}=1`],
    ['with a tenant of 242 characters', `${'t'.repeat(242)}@v=1`],
    ['with a system of 15 characters', `t@${'v'.repeat(15)}=1`],
    ['without a value', 'foo='],
    ['with an equals sign in a value', 'foo=bar=baz'],
    ['with a value of 257 characters', `foo=${'v'.repeat(257)}`],
    ['with a character that is not ASCII', 'foo=ä'],
    ['of a key alone', 'foo'],
  ])('%s does not count; the traceparent still does', (_, header) => {
    expect(read(header)).toBeUndefined();
    expect(readCallerContext(VALID, header)?.traceId).toBe(TRACE);
  });

  it('of more than 512 characters loses its long members first, then its last', () => {
    const short = (name: string) => `${name}=${'v'.repeat(98)}`;
    const long = `long=${'v'.repeat(150)}`;
    const header = [short('a'), long, short('b'), short('c'), short('d')].join(',');
    expect(read(header)).toBe([short('a'), short('b'), short('c'), short('d')].join(','));
    const many = ['a', 'b', 'c', 'd', 'e', 'f'].map(short).join(',');
    expect(read(many)).toBe(['a', 'b', 'c', 'd', 'e'].map(short).join(','));
  });
});

/** For a trace's id and a span's. */
function digitsOf(traceId: string, spanId: string): (digits: number) => string {
  return (digits) => (digits === traceId.length ? traceId : spanId);
}

describe('the trace of a request', () => {
  const options = (changes: Partial<TraceOptions> = {}): TraceOptions => ({
    ratio: 1,
    randomDigits: digitsOf('abcdefabcdefabcdefabcdefabcdef01', '00000001fffffffe'),
    ...changes,
  });

  it('is the caller’s, with a span of its own', () => {
    const trace = joinTrace(readCallerContext(VALID, 'a=1'), options({ ratio: 0 }));
    expect(trace).toMatchObject({ traceId: TRACE, parentSpanId: PARENT, tracestate: 'a=1', isSampled: true });
    expect(trace.traceparent(trace.spanId)).toBe(`00-${TRACE}-00000001fffffffe-01`);
  });

  it('is not sampled where the caller’s is not, whatever the ratio', () => {
    const trace = joinTrace(readCallerContext(`00-${TRACE}-${PARENT}-00`, undefined), options());
    expect(trace.isSampled).toBe(false);
    expect(trace.traceparent('1'.repeat(16))).toBe(`00-${TRACE}-${'1'.repeat(16)}-00`);
  });

  it('goes on in version 00, with the flags that are known', () => {
    const trace = joinTrace(readCallerContext(`cc-${TRACE}-${PARENT}-ff-x`, undefined), options());
    expect(trace.traceparent(PARENT)).toBe(`00-${TRACE}-${PARENT}-03`);
  });

  it('begins here without a caller’s', () => {
    const trace = joinTrace(undefined, options());
    expect(trace).toMatchObject({ traceId: 'abcdefabcdefabcdefabcdefabcdef01', isSampled: true });
    expect(trace.parentSpanId).toBeUndefined();
  });

  it('has ids for its spans that differ, also where the number overflows', () => {
    const trace = joinTrace(undefined, options());
    expect([trace.newSpanId(), trace.newSpanId(), trace.newSpanId()]).toEqual([
      '00000001ffffffff',
      '0000000100000000',
      '0000000100000001',
    ]);
    const zero = joinTrace(
      undefined,
      options({ randomDigits: digitsOf('a'.repeat(32), '00000000ffffffff') }),
    );
    expect(zero.newSpanId()).toBe('0000000000000001');
  });

  it('is sampled by its id: of many about the part that is asked for, by another instance the same', () => {
    const ids = Array.from({ length: 1000 }, (_, index) =>
      Math.floor((index / 1000) * 2 ** 52)
        .toString(16)
        .padStart(13, '0'),
    );
    const sampled = (ratio: number) =>
      ids.filter(
        (id) =>
          joinTrace(
            undefined,
            options({ ratio, randomDigits: digitsOf(`${'a'.repeat(18)}${id}0`, '1'.repeat(16)) }),
          ).isSampled,
      );
    expect(sampled(0)).toHaveLength(0);
    expect(sampled(0.25).length).toBeCloseTo(250, -1);
    expect(sampled(1)).toHaveLength(1000);
    // What an instance with a smaller ratio samples, one with a larger one samples too.
    const larger = new Set(sampled(0.5));
    expect(sampled(0.25).every((id) => larger.has(id))).toBe(true);
  });
});
