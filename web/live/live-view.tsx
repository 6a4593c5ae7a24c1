/** The Live view. */

export function LiveView() {
  return <p class="notice">The live view is not built yet.</p>;
}
