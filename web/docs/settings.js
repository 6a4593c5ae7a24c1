// Shows the description of this server's API in Swagger UI. Where the page at / was given keys for this tab, its requests have them.
const page = window.location.href.split(/[?#]/, 1)[0].replace(/\/$/, '');
document.getElementById('back').href = new URL('./', page).href;

/** As web/state/api-key.ts stores them. */
function storedKey(name) {
  try {
    return sessionStorage.getItem(name) ?? undefined;
  } catch {
    return undefined;
  }
}

const apiKey = storedKey('llm-serve.key') ?? storedKey('llm-serve.admin-key');
const adminKey = storedKey('llm-serve.admin-key');
const forAdministrators = ['admin/', 'live'].map((path) => new URL(path, page).href);

/** The administrators' routes get the admin key, unless the person has typed another one. */
function withAdminKey(request) {
  const isForAdministrators = forAdministrators.some((address) => request.url.startsWith(address));
  const isTyped =
    request.headers.Authorization !== undefined && request.headers.Authorization !== `Bearer ${apiKey}`;
  if (adminKey !== undefined && isForAdministrators && !isTyped)
    request.headers.Authorization = `Bearer ${adminKey}`;
  return request;
}

window.ui = SwaggerUIBundle({
  url: new URL('openapi.json', page).href,
  dom_id: '#swagger-ui',
  deepLinking: true,
  tryItOutEnabled: true,
  validatorUrl: null,
  docExpansion: 'list',
  defaultModelsExpandDepth: -1,
  persistAuthorization: false,
  requestInterceptor: withAdminKey,
  onComplete: () => {
    if (apiKey !== undefined) window.ui.preauthorizeApiKey('bearer', apiKey);
  },
});
