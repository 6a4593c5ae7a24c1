// The API page is dark or light as the page at / was set, which keeps it in this browser; else as the system is.
const system = matchMedia('(prefers-color-scheme: dark)');
function applyTheme() {
  let chosen = 'system';
  try {
    chosen = localStorage.getItem('llm-serve.theme') ?? 'system';
  } catch {}
  document.documentElement.classList.toggle(
    'dark-mode',
    chosen === 'system' ? system.matches : chosen === 'dark',
  );
}
system.addEventListener('change', applyTheme);
applyTheme();
