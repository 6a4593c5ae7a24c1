import { describeStructuredOutput } from '../support/structured-output-suite.ts';

describeStructuredOutput({ answers: 200 });
