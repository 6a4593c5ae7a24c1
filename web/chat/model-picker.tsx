/** Chooses the model, and tells what it can do where the server knows that. */
import { useStore } from '../state/store.ts';
import { number } from '../ui/amounts.ts';
import { pickModel } from './actions.ts';
import { abilities, conversation, models } from './chat-state.ts';

export function ModelPicker() {
  const list = useStore(models);
  const chosen = useStore(conversation, ({ model }) => model);
  const can = useStore(abilities);
  // Named also while the models cannot be read.
  const names = (list ?? []).map(({ id }) => id);
  const options = chosen === '' || names.includes(chosen) ? names : [chosen, ...names];
  const size = list?.find(({ id }) => id === chosen)?.contextSize;
  const facts = [
    ...(size === undefined ? [] : [`${number(size)} tokens of context`]),
    ...(can === undefined
      ? []
      : [can.images && 'images', can.tools && 'tools', can.thinking && 'thinking'].filter(
          (each) => each !== false,
        )),
  ];
  return (
    <label class="model-picker" title={facts.join(', ')}>
      <span class="visually-hidden">Model</span>
      <select
        value={chosen}
        disabled={list === undefined || list.length === 0}
        onChange={(event) => pickModel(event.currentTarget.value)}
      >
        {options.map((id) => (
          <option key={id} value={id}>
            {id}
          </option>
        ))}
      </select>
    </label>
  );
}
