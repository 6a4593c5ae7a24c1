/** What a person at a terminal sees when the default model is ready: where to look, and a first request. Pure; fits 80 columns. */
import type { ServedModel } from '../core/backend.ts';
import { DEFAULT_SERVER } from './remote.ts';
import type { StoreFlags } from './store-flags.ts';

interface BannerFacts {
  readonly version: string;
  /** Where the server listens. */
  readonly address: string;
  /** Where administrators come in, if that is another address. */
  readonly adminUrl?: string | undefined;
  readonly model: Pick<ServedModel, 'id' | 'abilities'>;
  /** Models beside that one. */
  readonly otherModels: number;
  /** The door is shut. */
  readonly needsKey: boolean;
  /** Of the server's start: the command that makes a key needs them too. */
  readonly storeFlags: StoreFlags;
}

const GENERATE = { path: '/generate', body: '{"prompt":"What is the capital of France?"}' };
const EMBED = { path: '/embed', body: '{"input":"Hello"}' };

export function bannerText({
  version,
  address,
  adminUrl,
  model,
  otherModels,
  needsKey,
  storeFlags,
}: BannerFacts): string {
  const onlyEmbeds = model.abilities.includes('embed') && !model.abilities.includes('generate');
  const { text, secret } = storeFlags;
  const { path, body } = onlyEmbeds ? EMBED : GENERATE;
  const others = otherModels === 0 ? '' : ` and ${otherModels} more (${address}/v1/models)`;
  const server = address === DEFAULT_SERVER ? '' : ` --server ${address}`;
  return [
    '',
    `  llm-serve ${version} is ready`,
    '',
    ...(onlyEmbeds ? [] : [`  Chat      ${address}`]),
    `  Live      ${address}/#/live`,
    ...(adminUrl === undefined ? [] : [`  Admin     ${adminUrl}/#/admin`]),
    `  API       ${address}/docs`,
    ...(onlyEmbeds ? [] : [`  Terminal  npx llm-serve chat${server}`]),
    `  Model     ${model.id}${others}`,
    ...(needsKey
      ? [
          '  Keys      every request needs one. Make one:',
          `            npx llm-serve keys create --name you${text === '' ? '' : ` ${text}`}`,
          ...secret.map(
            (flag) => `            with ${flag} as the server has it: its value is not shown here`,
          ),
        ]
      : []),
    '',
    `  curl ${address}${path} \\`,
    ...(needsKey ? ["    -H 'authorization: Bearer YOUR_KEY' \\"] : []),
    "    -H 'content-type: application/json' \\",
    `    -d '${body}'`,
    '',
    '',
  ].join('\n');
}
