/** The Chat view in a real browser, on a server that plays scripts: what its tests do again and again. */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import type { Locator, Page } from 'playwright-core';
import { onTestFinished, type TestContext } from 'vitest';
import { openPage, type PageOptions } from '../support/browser.ts';
import { type ScriptedModel, scriptedFlags } from '../support/scripted-server.ts';
import { type ComposedServer, startServer } from '../support/server.ts';

export async function openChat(
  context: TestContext,
  options: PageOptions = {},
  ...models: readonly ScriptedModel[]
): Promise<{ readonly server: ComposedServer; readonly page: Page }> {
  const server = await startServer({ flags: scriptedFlags(...models), endsWith: onTestFinished });
  return { server, page: await openPage(context, `${server.url}/`, options) };
}

export const messageBox = (page: Page) => page.getByLabel('Message', { exact: true });
export const answersOf = (page: Page) => page.locator('.message.assistant');
export const modelPicker = (page: Page) => page.getByRole('combobox', { name: 'Model' });

/** As soon as there is a model to ask. */
export async function say(page: Page, text: string): Promise<void> {
  await page.waitForFunction(() => document.querySelector<HTMLSelectElement>('.model-picker select')?.value);
  await messageBox(page).fill(text);
  await messageBox(page).press('Enter');
}

/** Opens the edit of the one message that was asked. */
export async function openEdit(page: Page): Promise<Locator> {
  await page.locator('.message.user').hover();
  await page.getByLabel('Edit message').click();
  return page.getByRole('textbox', { name: 'Edit message' });
}

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

/** What axe finds that is serious or critical. By evaluation: the page's policy allows no script but its own. */
export async function seriousProblems(page: Page): Promise<string[]> {
  await page.evaluate(await readFile(AXE, 'utf8'));
  return page.evaluate(async () => {
    const { axe } = window as unknown as { axe: { run(): Promise<{ violations: Violation[] }> } };
    interface Violation {
      readonly id: string;
      readonly impact: string;
      readonly nodes: readonly { readonly html: string }[];
    }
    const { violations } = await axe.run();
    return violations
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
  });
}
