import { beforeAll, describe, expect, it } from 'vitest';
import { embeddedEngine, never } from '../../../support/embedded-engine.ts';
import { expectAllValid, FORMS } from '../../../support/held-forms.ts';

const { backend } = embeddedEngine({ slots: 16, context_size: 512 });
const ANSWERS = 20;

beforeAll(() => backend.warmUp({ signal: never() }));

describe('an answer that is held to a form', () => {
  it.each(FORMS)('is valid every time: $name', async (form) => {
    const cutOff = await expectAllValid(backend, form, ANSWERS);
    expect(cutOff).toBeLessThan(ANSWERS / 2);
  });
});
