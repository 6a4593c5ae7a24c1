/**
 * Finds out what a template can do by having it render small conversations: what comes out shows what it read.
 * Pure, but for the template.
 */
import { contentAsParts, type TemplateMessage } from './template-messages.ts';

export interface TemplateAbilities {
  /** Content must be a list of parts. */
  readonly partsOnly: boolean;
  readonly system: boolean;
  /** A system message in the middle comes out too. */
  readonly laterSystem: boolean;
  /** Tools come out, and what they answered. */
  readonly tools: boolean;
  /** Calls in earlier answers come out. */
  readonly calls: boolean;
  /** The arguments of calls may be values rather than JSON text. */
  readonly objectArguments: boolean;
}

export interface TemplateVariables {
  readonly messages: readonly TemplateMessage[];
  /** Absent where there are none: templates ask whether they are defined. */
  readonly tools?: readonly unknown[];
}

const SYSTEM: TemplateMessage = { role: 'system', content: 'mark-system' };
const USER: TemplateMessage = { role: 'user', content: 'mark-user' };
const ANSWER: TemplateMessage = { role: 'assistant', content: 'Answer.' };
const TOOL = {
  type: 'function',
  function: {
    name: 'mark-tool',
    description: 'mark-description',
    parameters: { type: 'object', properties: { key: { type: 'string', description: 'mark-key' } } },
  },
};

export function abilitiesOf(render: (variables: TemplateVariables) => string): TemplateAbilities {
  const comesOut = (
    mark: string,
    messages: readonly TemplateMessage[],
    tools?: readonly unknown[],
  ): boolean => {
    try {
      return render({ messages, ...(tools && { tools }) }).includes(mark);
    } catch {
      return false;
    }
  };
  const partsOnly = !comesOut('mark-user', [USER]) && comesOut('mark-user', contentAsParts([USER]));
  const shaped = partsOnly ? contentAsParts : (messages: readonly TemplateMessage[]) => messages;
  const called = (mark: string, value: unknown): boolean =>
    comesOut(mark, shaped(conversation(value)), [TOOL]);
  const asObject = { key: 'mark-value' };
  // Printed as it stands, an object comes out with single quotes, which is no JSON.
  const objectArguments = called('mark-value', asObject) && !called("'mark-value'", asObject);
  const value = objectArguments ? asObject : JSON.stringify(asObject);
  return {
    partsOnly,
    system: comesOut('mark-system', shaped([SYSTEM, USER])),
    laterSystem: comesOut(
      'mark-later',
      shaped([SYSTEM, USER, ANSWER, { ...SYSTEM, content: 'mark-later' }, USER]),
    ),
    tools: comesOut('mark-tool', shaped([USER]), [TOOL]) && called('mark-result', value),
    calls: called('mark-value', value),
    objectArguments,
  };
}

function conversation(value: unknown): readonly TemplateMessage[] {
  const id = 'call00001';
  const call = { id, type: 'function', function: { name: 'mark-tool', arguments: value } } as const;
  return [
    USER,
    { role: 'assistant', content: '', tool_calls: [call] },
    { role: 'tool', content: 'mark-result', tool_call_id: id, name: 'mark-tool' },
    ANSWER,
    USER,
  ];
}
