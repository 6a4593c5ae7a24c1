/** Nothing that a person wrote is lost: drafts, edits, images, settings, half an answer; and what they open can be closed again. */
import type { Locator } from 'playwright-core';
import { expect, test } from 'vitest';
import { scripted } from '../support/scripted-server.ts';
import { answersOf, messageBox, modelPicker, openChat, openEdit, say, seriousProblems } from './chat-page.ts';

const SLOW = scripted({ tokens: 10_000, token_delay_ms: 20 }, 'word '.repeat(50));

test('the model is changed within a conversation: the next answer, and one that is asked for again, are of the new one', async (context) => {
  const { page } = await openChat(context, {}, { id: 'first' }, { id: 'second' });
  await say(page, 'one');
  await answersOf(page).getByLabel('Regenerate answer').waitFor();
  await modelPicker(page).selectOption('second');
  const sent = page.waitForRequest('**/v1/chat/completions');
  await say(page, 'two');
  expect((await sent).postDataJSON()).toMatchObject({
    model: 'second',
    messages: [{ content: 'one' }, { role: 'assistant' }, { content: 'two' }],
  });
  await expect.poll(() => answersOf(page).getByLabel('Regenerate answer').count()).toBe(2);
  expect(await answersOf(page).locator('.who').allTextContents()).toEqual(['first', 'second']);
  await answersOf(page).first().getByLabel('Regenerate answer').click();
  await expect.poll(() => answersOf(page).locator('.who').allTextContents()).toEqual(['second']);
  await page.reload();
  await expect.poll(() => modelPicker(page).inputValue()).toBe('second');
});

test('a reload in the middle of an answer keeps what has come, says that it was interrupted, and ends the work on the server', async (context) => {
  const { page, server } = await openChat(context, { expects: [/ERR_INCOMPLETE|Failed to load/] });
  await say(page, SLOW);
  await answersOf(page).getByText('word').waitFor();
  await page.reload();
  await answersOf(page).getByText('Interrupted: the page was left').waitFor();
  expect(await answersOf(page).textContent()).toContain('word');
  const running = async () => (await fetch(`${server.url}/metrics`)).text();
  await expect.poll(running).toMatch(/^llm_serve_slots_used\{[^}]*\} 0$/m);
  await answersOf(page).getByLabel('Regenerate answer').click();
  await page.getByLabel('Stop', { exact: true }).click();
  await answersOf(page).getByText('Stopped.').waitFor();
});

test('what is not sent yet is there after Live was looked at, and after a reload', async (context) => {
  const { page } = await openChat(context);
  await page.getByLabel('System prompt').fill('Be short.');
  await messageBox(page).fill('half a thought');
  await hand(messageBox(page), 'paste', ['red']);
  await page.getByAltText('To be sent 1').waitFor();
  await page.locator('.nav-link', { hasText: 'Live' }).click();
  await page.locator('.live').waitFor();
  await page.locator('.nav-link', { hasText: 'Chat' }).click();
  expect(await messageBox(page).inputValue()).toBe('half a thought');
  expect(await page.getByAltText('To be sent 1').count()).toBe(1);
  await page.reload();
  await page.getByAltText('To be sent 1').waitFor();
  expect(await messageBox(page).inputValue()).toBe('half a thought');
  expect(await page.getByLabel('System prompt').inputValue()).toBe('Be short.');
  expect(await page.locator('.conversations li').count()).toBe(0);
});

test('an edit that cannot be sent now stays: while an answer arrives, when it is empty, with settings that are wrong', async (context) => {
  const { page } = await openChat(context);
  await say(page, scripted({ text: 'One.' }));
  await answersOf(page).getByText('One.').waitFor();
  const edit = await openEdit(page);
  await edit.fill('   ');
  await edit.press('Enter');
  await edit.fill(scripted({ text: 'Edited.' }));
  await page.getByLabel('Temperature').fill('9');
  await edit.press('Enter');
  await page.getByText('Temperature must be at most 2. Correct it under Settings.').first().waitFor();
  expect(await page.getByRole('button', { name: 'Send again' }).isDisabled()).toBe(true);
  await page.getByLabel('Temperature').fill('');
  await messageBox(page).fill(SLOW);
  await messageBox(page).press('Enter');
  await answersOf(page).getByText('word').waitFor();
  await edit.press('Enter');
  await page.getByText('An answer is arriving.').waitFor();
  expect(await seriousProblems(page)).toEqual([]);
  await page.getByLabel('Stop', { exact: true }).click();
  await answersOf(page).getByText('Stopped.').waitFor();
  expect(await page.locator('.message.user').count()).toBe(2);
  await edit.press('Enter');
  await answersOf(page).getByText('Edited.').waitFor();
  expect(await page.locator('.message.user').count()).toBe(1);
});

test('images are pasted and dropped, and sent as they are; a model that takes none says so', async (context) => {
  const { page } = await openChat(context, { expects: [/Failed to load.*400/] });
  await hand(messageBox(page), 'paste', ['red']);
  await page.getByAltText('To be sent 1').waitFor();
  await hand(page.locator('form.composer'), 'drop', ['green', 'blue']);
  await page.getByAltText('To be sent 3').waitFor();
  await page.getByLabel('Remove image 2').click();
  await expect.poll(() => page.locator('.composer .thumb').count()).toBe(2);
  const sent = page.waitForRequest('**/v1/chat/completions');
  await say(page, scripted({ text: 'Two colours.' }));
  const [message] = (await sent).postDataJSON().messages;
  expect(message.content).toEqual([
    { type: 'text', text: scripted({ text: 'Two colours.' }) },
    ...['red', 'blue'].map(() => ({
      type: 'image_url',
      image_url: { url: expect.stringMatching(/^data:image\/png;base64,/) },
    })),
  ]);
  await page.getByAltText('Attached 2').waitFor();
  await answersOf(page).locator('.failure').getByText('image').waitFor();
  expect(await page.locator('.composer .thumb').count()).toBe(0);
});

test('text that is dropped goes to the field as the browser does it; of a file that is no image a word is said', async (context) => {
  const { page } = await openChat(context);
  const drop = (kind: 'text' | 'file') =>
    messageBox(page).evaluate((element, what) => {
      const data = new DataTransfer();
      if (what === 'text') data.setData('text/plain', 'dragged');
      else data.items.add(new File(['%PDF'], 'a.pdf', { type: 'application/pdf' }));
      return element.dispatchEvent(
        new DragEvent('drop', { bubbles: true, cancelable: true, dataTransfer: data }),
      );
    }, kind);
  expect(await drop('text')).toBe(true);
  expect(await drop('file')).toBe(false);
  await page.getByText('Only images can be attached.').waitFor();
});

test('an empty conversation in a tab that was duplicated is another one: neither question is lost', async (context) => {
  const { page } = await openChat(context);
  const copied = page.waitForEvent('popup');
  await page.evaluate(() => void window.open(location.href));
  const copy = await copied;
  await say(page, scripted({ text: 'In the first.' }));
  await answersOf(page).getByLabel('Regenerate answer').waitFor();
  await say(copy, scripted({ text: 'In the second.' }));
  await answersOf(copy).getByLabel('Regenerate answer').waitFor();
  await copy.reload();
  await expect.poll(() => copy.locator('.conversations li').count()).toBe(2);
});

test('an edit that is not sent is there after Live was looked at, and after a reload', async (context) => {
  const { page } = await openChat(context);
  await say(page, scripted({ text: 'One.' }));
  await answersOf(page).getByLabel('Regenerate answer').waitFor();
  const edit = await openEdit(page);
  await edit.fill('rewritten');
  await page.locator('.nav-link', { hasText: 'Live' }).click();
  await page.locator('.live').waitFor();
  await page.locator('.nav-link', { hasText: 'Chat' }).click();
  expect(await edit.inputValue()).toBe('rewritten');
  await page.reload();
  expect(await edit.inputValue()).toBe('rewritten');
});

test('the Escape of an input method leaves an edit open', async (context) => {
  const { page } = await openChat(context);
  await say(page, scripted({ text: 'One.' }));
  await answersOf(page).getByLabel('Regenerate answer').waitFor();
  const edit = await openEdit(page);
  await edit.fill('rewritten');
  await edit.evaluate((element) =>
    element.dispatchEvent(
      new KeyboardEvent('keydown', { key: 'Escape', isComposing: true, bubbles: true, cancelable: true }),
    ),
  );
  expect(await edit.inputValue()).toBe('rewritten');
  await edit.press('Escape');
  await edit.waitFor({ state: 'detached' });
});

test('on a phone the sides open over the page, and Esc closes them and leaves the answer alone', async (context) => {
  const { page } = await openChat(context, { isPhone: true });
  await say(page, SLOW);
  await answersOf(page).getByText('word').waitFor();
  for (const [button, side] of [
    ['Conversations', 'Conversations'],
    ['Settings', 'Settings'],
  ] as const) {
    await page.getByRole('button', { name: button, exact: true }).click();
    const opened = page.getByRole('complementary', { name: side });
    await opened.waitFor();
    await expect
      .poll(() => opened.evaluate((element) => element.contains(document.activeElement)))
      .toBe(true);
    expect(await seriousProblems(page)).toEqual([]);
    await page.keyboard.press('Escape');
    await opened.waitFor({ state: 'detached' });
    expect(await page.evaluate(() => document.activeElement?.getAttribute('aria-label'))).toBe(button);
  }
  expect(await page.getByLabel('Stop', { exact: true }).count()).toBe(1);
  await page.getByRole('button', { name: 'Conversations', exact: true }).click();
  await page.locator('.side-backdrop').click({ position: { x: 380, y: 400 } });
  await page.getByRole('complementary').waitFor({ state: 'detached' });
  await page.keyboard.press('Escape');
  await answersOf(page).getByText('Stopped.').waitFor();
});

test('conversations are kept again after the data of the site were cleared', async (context) => {
  const { page } = await openChat(context);
  await say(page, scripted({ text: 'Before.' }));
  await answersOf(page).getByText('Before.').waitFor();
  const browser = await page.context().newCDPSession(page);
  const { origin } = new URL(page.url());
  await browser.send('Storage.clearDataForOrigin', { origin, storageTypes: 'indexeddb' });
  await say(page, scripted({ text: 'After.' }));
  await answersOf(page).getByText('After.').waitFor();
  await page.reload();
  await answersOf(page).getByText('Before.').waitFor();
  await answersOf(page).getByText('After.').waitFor();
  expect(await page.locator('.quiet-banner').count()).toBe(0);
});

test('axe finds nothing serious in dialogs, failures and tool results', async (context) => {
  const { page } = await openChat(context, { colorScheme: 'dark', expects: [/Failed to load.*429/] });
  await page.getByRole('tab', { name: 'Tools' }).click();
  await page.getByRole('button', { name: 'Insert an example' }).click();
  await say(page, scripted({ fail: 'rate-limited' }));
  await answersOf(page).getByText('Try again in').waitFor();
  await say(page, scripted({ tool_calls: [{ name: 'get_weather', arguments: { city: 'Rome' } }] }));
  await page.getByLabel('Result of get_weather').waitFor();
  expect(await seriousProblems(page)).toEqual([]);
  for (const open of ['Keys', 'Keyboard shortcuts', 'Copy as code']) {
    await page.getByRole('button', { name: open, exact: true }).click();
    await page.locator('dialog[open]').waitFor();
    expect(await seriousProblems(page)).toEqual([]);
    await page.keyboard.press('Escape');
    await page.locator('dialog[open]').waitFor({ state: 'detached' });
  }
});

/** As a browser hands over files that are pasted or dropped: small images of these colours. */
async function hand(place: Locator, kind: 'paste' | 'drop', colours: readonly string[]): Promise<void> {
  await place.evaluate(
    async (element, { kind: name, colours: wanted }) => {
      const files = new DataTransfer();
      for (const colour of wanted) {
        const canvas = new OffscreenCanvas(8, 8);
        const context = canvas.getContext('2d');
        if (context === null) throw new Error('no canvas');
        context.fillStyle = colour;
        context.fillRect(0, 0, 8, 8);
        files.items.add(new File([await canvas.convertToBlob()], `${colour}.png`, { type: 'image/png' }));
      }
      const common = { bubbles: true, cancelable: true };
      element.dispatchEvent(
        name === 'paste'
          ? new ClipboardEvent('paste', { ...common, clipboardData: files })
          : new DragEvent('drop', { ...common, dataTransfer: files }),
      );
    },
    { kind, colours },
  );
}

test('where the browser keeps nothing the page says so, and does not claim that it does', async (context) => {
  const before = `indexedDB.open = () => { throw new Error('not allowed'); };`;
  const { page } = await openChat(context, { before });
  await page.locator('.empty').getByText('This browser keeps no conversations').waitFor();
  await say(page, 'one');
  await answersOf(page).getByLabel('Regenerate answer').waitFor();
  await page.getByText('Export what you need').waitFor();
  expect(await page.getByText('Conversations are kept').count()).toBe(0);
});
