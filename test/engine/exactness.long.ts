import { describeExactness } from './exactness-suite.ts';

describeExactness(
  'without flash attention, one request at a time, greedy answers are those of the library by itself',
  {
    slots: 1,
    flash_attention: false,
  },
);
