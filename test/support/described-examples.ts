/** The examples of /openapi.json, as somebody who reads the description would send them. */
import { ask } from './http-client.ts';
import type { RunningServer } from './server.ts';

export interface DescribedExample {
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
}

interface Described {
  readonly paths: Readonly<
    Record<
      string,
      Readonly<
        Record<
          string,
          {
            readonly requestBody?: {
              readonly content: Readonly<Record<string, { readonly example?: DescribedExample['body'] }>>;
            };
          }
        >
      >
    >
  >;
}

/** One for each route that takes a body; throws for one without. */
export async function describedExamples(server: RunningServer): Promise<readonly DescribedExample[]> {
  const { paths } = (await ask(`${server.url}/openapi.json`)).json<Described>();
  return Object.entries(paths).flatMap(([path, operations]) =>
    Object.values(operations).flatMap(({ requestBody }) => {
      if (requestBody === undefined) return [];
      const [content] = Object.values(requestBody.content);
      if (content?.example === undefined) throw new Error(`${path} has no example of its body`);
      return [{ path, body: content.example }];
    }),
  );
}
