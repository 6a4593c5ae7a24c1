/**
 * Properties are tried with the same cases in every `npm test`: a case that fails is found by the run that looks for it, and stops nobody
 * else. `npm run test:long` draws others each time, many more of them.
 */
import fc from 'fast-check';

if (process.env.LLM_TEST_LONG !== '1') fc.configureGlobal({ seed: 20_26 });
