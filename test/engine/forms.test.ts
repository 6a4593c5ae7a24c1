import { describeForms } from '../support/held-forms.ts';

describeForms({ answers: 8 });
