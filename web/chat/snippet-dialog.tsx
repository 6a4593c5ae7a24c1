/** The request of this conversation as a program, in the language and the protocol of choice. */
import { useState } from 'preact/hooks';
import { apiUrl } from '../api/request.ts';
import { CodeView } from '../markdown/code-view.tsx';
import { apiKey } from '../state/api-key.ts';
import { useStore } from '../state/store.ts';
import { Dialog } from '../ui/dialog.tsx';
import { Tabs } from '../ui/tabs.tsx';
import { chatBody } from './chat-body.ts';
import { conversation } from './chat-state.ts';
import { type Conversation, pathOf } from './conversation.ts';
import { PROTOCOLS, type ProtocolName } from './snippets/bodies.ts';
import { LANGUAGES, type Language, snippetOf } from './snippets/code.ts';

export function SnippetDialog({ onClose }: { readonly onClose: () => void }) {
  const [protocol, setProtocol] = useState<ProtocolName>('OpenAI');
  const [language, setLanguage] = useState<Language>('curl');
  const shown = useStore(conversation);
  const withKey = useStore(apiKey) !== undefined;
  const { text, omitted, install } = snippetOf(requestOf(shown), {
    protocol,
    language,
    server: apiUrl('').replace(/\/$/, ''),
    withKey,
  });
  const shellLanguage = language === 'curl' ? 'bash' : language.toLowerCase();
  return (
    <Dialog title="Copy as code" onClose={onClose} wide>
      <label class="field protocol">
        <span>Protocol</span>
        <select value={protocol} onChange={(event) => setProtocol(event.currentTarget.value as ProtocolName)}>
          {PROTOCOLS.map((each) => (
            <option key={each}>{each}</option>
          ))}
        </select>
      </label>
      <Tabs label="Language" names={LANGUAGES} chosen={language} onChoose={setLanguage}>
        <CodeView block={{ kind: 'code', language: shellLanguage, pieces: [text], complete: true }} />
      </Tabs>
      {install !== '' && (
        <p class="hint">
          It needs <code>{install}</code>
        </p>
      )}
      {withKey && (
        <p class="hint">
          It reads the key from the variable <code>LLM_SERVE_KEY</code>.
        </p>
      )}
      {omitted.length > 0 && <p class="hint">Left out: {omitted.join('; ')}.</p>}
    </Dialog>
  );
}

/** The last question with what was before it; of an empty conversation, an example. */
function requestOf(shown: Conversation) {
  const path = pathOf(shown);
  const last = path.findLastIndex(({ role }) => role !== 'assistant');
  const asked = path.slice(0, last + 1);
  const body = chatBody(asked, shown.settings, shown.model);
  if (asked.length > 0) return body;
  return {
    ...body,
    messages: [...body.messages, { role: 'user', content: 'What is the capital of France?' } as const],
  };
}
