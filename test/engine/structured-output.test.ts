import { describeForms } from '../support/structured-output-suite.ts';

describeForms({ answers: 8 });
