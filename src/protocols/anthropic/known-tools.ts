/**
 * Tools that this API names by a type with a date instead of describing them. Those that run on its own servers are dropped;
 * those that the client runs are offered as functions, with the arguments that the client's side of them takes. Pure.
 */
import type { ToolBody } from './tool-schema.ts';

const SERVER_TOOL =
  /^(web_search|web_fetch|code_execution|tool_search_tool(_regex|_bm25)?|mcp_toolset|advisor)(_\d{8})?$/;
const SEARCH_TOOL = /^tool_search_tool/;

/** `web_search_20250305` and the like: nobody here could run it. */
export function isServerTool(type: unknown): type is string {
  return typeof type === 'string' && SERVER_TOOL.test(type);
}

/** It would find the tools whose loading is deferred. */
export function isSearchTool(type: unknown): boolean {
  return typeof type === 'string' && SEARCH_TOOL.test(type);
}

const SERVER_BLOCK =
  /^(server_tool_use|mcp_tool_use|container_upload|(web_search|web_fetch|code_execution|bash_code_execution|text_editor_code_execution|tool_search|mcp|advisor)_tool_result)$/;

/** What a tool of the vendor's servers left in an earlier answer. */
export function isServerBlock(type: unknown): type is string {
  return typeof type === 'string' && SERVER_BLOCK.test(type);
}

const text = { type: 'string' } as const;
const lines = { type: 'array', items: { type: 'integer' }, minItems: 2, maxItems: 2 } as const;

function commands(names: readonly string[], others: object): ToolBody['input_schema'] {
  return { type: 'object', properties: { command: { enum: names }, ...others }, required: ['command'] };
}

/** By what stands before the date. */
const CLIENT_TOOLS: Readonly<Record<string, Omit<ToolBody, 'name' | 'type'>>> = {
  bash: {
    description: 'Runs a command in a shell that stays open between calls, and answers what it printed.',
    input_schema: {
      type: 'object',
      properties: { command: text, restart: { type: 'boolean', description: 'true: a new shell.' } },
    },
  },
  text_editor: {
    description:
      'Views, creates and edits text files. `view` takes path and view_range, `create` path and file_text, ' +
      '`str_replace` path, old_str (found exactly once) and new_str, `insert` path, insert_line and insert_text.',
    input_schema: commands(['view', 'create', 'str_replace', 'insert'], {
      path: text,
      view_range: lines,
      file_text: text,
      old_str: text,
      new_str: text,
      insert_line: { type: 'integer' },
      insert_text: text,
    }),
  },
  memory: {
    description:
      'Reads and writes notes that are kept between conversations, as files under /memories. `view` takes path and ' +
      'view_range, `create` path and file_text, `str_replace` path, old_str and new_str, `insert` path, insert_line and ' +
      'insert_text, `delete` path, `rename` old_path and new_path.',
    input_schema: commands(['view', 'create', 'str_replace', 'insert', 'delete', 'rename'], {
      path: text,
      view_range: lines,
      file_text: text,
      old_str: text,
      new_str: text,
      insert_line: { type: 'integer' },
      insert_text: text,
      old_path: text,
      new_path: text,
    }),
  },
};

/** Undefined for any other type. */
export function clientTool(type: unknown): Omit<ToolBody, 'name' | 'type'> | undefined {
  const family = typeof type === 'string' ? /^(.+)_\d{8}$/.exec(type)?.[1] : undefined;
  return family !== undefined && Object.hasOwn(CLIENT_TOOLS, family) ? CLIENT_TOOLS[family] : undefined;
}
