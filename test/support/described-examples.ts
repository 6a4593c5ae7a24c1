/** The examples of /openapi.json, as somebody who reads the description would send them. */
import { ask } from './http-client.ts';
import type { RunningServer } from './server.ts';

export interface DescribedExample {
  readonly path: string;
  readonly name: string;
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
              readonly content: Readonly<
                Record<
                  string,
                  {
                    readonly examples: Readonly<Record<string, { readonly value: DescribedExample['body'] }>>;
                  }
                >
              >;
            };
          }
        >
      >
    >
  >;
}

/** At least one for each route that takes a body; throws for a route without. */
export async function describedExamples(server: RunningServer): Promise<readonly DescribedExample[]> {
  const { paths } = (await ask(`${server.url}/openapi.json`)).json<Described>();
  // Those of administrators are in golden transcripts: what each does depends on the ones before.
  const routes = Object.entries(paths).filter(([path]) => !path.startsWith('/admin/'));
  return routes.flatMap(([path, operations]) =>
    Object.values(operations).flatMap(({ requestBody }) => {
      if (requestBody === undefined) return [];
      const [content] = Object.values(requestBody.content);
      const examples = Object.entries(content?.examples ?? {});
      if (examples.length === 0) throw new Error(`${path} has no example of its body`);
      return examples.map(([name, { value }]) => ({ path, name, body: value }));
    }),
  );
}
