/**
 * Tools and items of the official API that nothing here could run or read: tools of its vendor's servers, and those that only
 * models trained for them know how to call. Both are dropped, and named. Pure.
 */

const HOSTED_TOOL =
  /^(web_search|web_search_preview|file_search|code_interpreter|image_generation|computer|computer_use|computer_use_preview|computer-preview|mcp|local_shell|shell|apply_patch|tool_search|programmatic_tool_calling)(_\d{4}_\d{2}_\d{2}|_\d{8})?$/;

export function isHostedTool(type: unknown): type is string {
  return typeof type === 'string' && HOSTED_TOOL.test(type);
}

const HOSTED_ITEM =
  /^(web_search_call|file_search_call|code_interpreter_call|image_generation_call|computer_call|computer_call_output|mcp_list_tools|mcp_call|mcp_approval_request|mcp_approval_response|tool_search_call|tool_search_output)$/;

/** What such a tool left in an earlier response. */
export function isHostedItem(type: unknown): type is string {
  return typeof type === 'string' && HOSTED_ITEM.test(type);
}

const SHELL_CALL = /^(local_shell|shell|apply_patch)_call$/;
const SHELL_OUTPUT = /^(local_shell|shell|apply_patch)_call_output$/;

/** `local_shell_call` → `local_shell`: a call that the client ran itself, so the model may read of it. */
export function toolOfCall(type: unknown): string | undefined {
  return typeof type === 'string' ? SHELL_CALL.exec(type)?.[1] : undefined;
}

export function isShellOutput(type: unknown): boolean {
  return typeof type === 'string' && SHELL_OUTPUT.test(type);
}
