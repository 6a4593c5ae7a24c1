/** What workers send adds up to what one process would have shown. */
import { expect, test } from 'vitest';
import type { RequestRecord, RequestTrace } from '../../../src/core/request-trace.ts';
import { LiveSumsWindow } from '../../../src/telemetry/live-sums.ts';
import { EndedRequests } from '../../../src/telemetry/live-tally.ts';

const SETTINGS = { objectives: { ttftMs: 50 } };
const CONTEXT = { offsetMs: 0, clientName: (client: string) => `~${client}` };

function ended(index: number, more: Partial<RequestTrace> = {}): RequestRecord {
  const trace: RequestTrace = {
    requestId: `r${index}`,
    receivedAt: 0,
    dispatchedAt: index,
    firstTokenAt: 10 * index,
    model: 'm',
    client: index % 2 === 0 ? 'even' : 'odd',
    finishReason: 'stop',
    usage: { promptTokens: index, completionTokens: 2, cachedTokens: 1 },
    ...more,
  };
  return { method: 'POST', path: '/', route: '/', status: 200, clientAddress: '', trace, endedAt: 100 };
}

test('the sums of two workers are those of one process with the same requests', () => {
  const records = [
    ...Array.from({ length: 12 }, (_, index) => ended(index)),
    ended(20, { errorCode: 'queue_full' }),
    ended(21, { errorCode: 'backend_error' }),
    ended(22, { cancelPhase: 'queued', errorCode: 'cancelled_by_admin' }),
  ];
  const one = new LiveSumsWindow(0, SETTINGS);
  const two = [new EndedRequests(SETTINGS), new EndedRequests(SETTINGS)];
  for (const worker of two) worker.listen(true);
  for (const [index, record] of records.entries()) {
    one.requestEnded(record);
    two[index % 2]?.requestEnded(record);
    one.tokenGap(index * 3);
    two[index % 2]?.tokenGap(index * 3);
  }
  const all = new LiveSumsWindow(0, SETTINGS);
  for (const worker of two) {
    const taken = worker.take(CONTEXT);
    if (taken !== undefined) all.add(JSON.parse(JSON.stringify(taken.tally)), 100);
  }
  expect(all.at(100)).toEqual(one.at(100));
  expect(one.at(100).finished).toBe(12);
});

test('each receipt is sent once, with its owner; of too many the newest, and whose the others were', () => {
  const worker = new EndedRequests(SETTINGS);
  worker.requestEnded(ended(0));
  expect(worker.take(CONTEXT), 'nobody listens').toBeUndefined();
  worker.listen(true);
  for (let index = 0; index < 1003; index += 1) worker.requestEnded(ended(index));
  const taken = worker.take(CONTEXT);
  expect(taken?.receipts).toHaveLength(1000);
  expect(taken?.receipts.at(-1)).toMatchObject({
    owner: 'even',
    receipt: { request_id: 'r1002', client: '~even' },
  });
  expect(new Map(taken?.omitted)).toEqual(
    new Map([
      ['even', 2],
      ['odd', 1],
    ]),
  );
  expect(taken?.tally.counts.finished).toBe(1003);
  expect(worker.take(CONTEXT)).toEqual({
    receipts: [],
    omitted: [],
    tally: { counts: {}, rejected: {}, values: {} },
  });
});
