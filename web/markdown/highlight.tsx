/** Code in colours, as Preact nodes made of lowlight's tree. Its own file: it is loaded with the first code that needs it. */
import bash from 'highlight.js/lib/languages/bash';
import c from 'highlight.js/lib/languages/c';
import css from 'highlight.js/lib/languages/css';
import diff from 'highlight.js/lib/languages/diff';
import go from 'highlight.js/lib/languages/go';
import java from 'highlight.js/lib/languages/java';
import javascript from 'highlight.js/lib/languages/javascript';
import json from 'highlight.js/lib/languages/json';
import python from 'highlight.js/lib/languages/python';
import rust from 'highlight.js/lib/languages/rust';
import sql from 'highlight.js/lib/languages/sql';
import typescript from 'highlight.js/lib/languages/typescript';
import xml from 'highlight.js/lib/languages/xml';
import yaml from 'highlight.js/lib/languages/yaml';
import { createLowlight } from 'lowlight';
import type { ComponentChildren } from 'preact';

const lowlight = createLowlight({
  ...{ bash, c, css, diff, go, java, javascript, json },
  ...{ python, rust, sql, typescript, xml, yaml },
});
lowlight.registerAlias({ c: ['cpp', 'c++', 'h'], bash: ['shell', 'console'] });

/** Undefined for a language that is not known. */
export function highlight(language: string, text: string): ComponentChildren {
  if (!lowlight.registered(language)) return undefined;
  return lowlight.highlight(language, text).children.map(nodeOf);
}

type Child = ReturnType<typeof lowlight.highlight>['children'][number];

function nodeOf(child: Child, key: number): ComponentChildren {
  if (child.type === 'text') return child.value;
  if (child.type !== 'element') return null;
  const names = child.properties.className;
  return (
    <span key={key} class={Array.isArray(names) ? names.join(' ') : undefined}>
      {child.children.map(nodeOf)}
    </span>
  );
}
