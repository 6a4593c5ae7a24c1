/** The Chat view. */

export function ChatView() {
  return <p class="notice">The chat is not built yet.</p>;
}
