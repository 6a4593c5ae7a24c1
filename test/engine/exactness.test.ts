import { describeExactness } from './exactness-suite.ts';

describeExactness(
  'with flash attention, in a crowd of sixteen, greedy answers are those of the library by itself',
  {
    slots: 16,
    flash_attention: true,
  },
);
