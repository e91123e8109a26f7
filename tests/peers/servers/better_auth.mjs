// `better_auth.mjs PORT`: better-auth with its MCP plugin, as authorization server and as the guard of a shop, in one
// server. It registers clients where it is told to, keeps users and grants in SQLite, and leaves both pages to its user.
import { createServer } from 'node:http';
import { DatabaseSync } from 'node:sqlite';
import { mcp, requireMcpAuth } from '@better-auth/mcp';
import { WebStandardStreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js';
import { betterAuth } from 'better-auth';
import { getMigrations } from 'better-auth/db/migration';
import { toNodeHandler } from 'better-auth/node';
import { jwt } from 'better-auth/plugins';
import { tools } from './shop.mjs';

const base = `http://127.0.0.1:${process.argv[2]}`;
const resource = `${base}/mcp`;
const alice = { email: 'alice@example.com', password: 'correct horse battery', name: 'Alice' };

const options = {
  baseURL: base,
  secret: 'a secret of a server that lives for one test on loopback',
  database: new DatabaseSync(':memory:'),
  emailAndPassword: { enabled: true },
  telemetry: { enabled: false },
  // Everything comes from one address here: its limits would be met by the tests of one minute.
  rateLimit: { enabled: false },
  plugins: [
    jwt(),
    mcp({
      loginPage: '/sign-in',
      consentPage: '/consent',
      resource,
      scopes: ['openid', 'profile', 'email', 'offline_access', 'shop:read', 'shop:buy'],
      allowDynamicClientRegistration: true,
      allowUnauthenticatedClientRegistration: true,
    }),
  ],
};
await (await getMigrations(options)).runMigrations();
const auth = betterAuth(options);
await auth.api.signUpEmail({ body: alice });

/** A page with one form, which sends on the signed query that it was opened with. */
const page = (title, action, query, fields) => new Response(
  `<h1>${title}</h1><form method="post" action="${action}">${fields}`
  + `<input type="hidden" name="oauth_query" value="${query.replaceAll('&', '&amp;')}">`
  + `<button type="submit">${title}</button></form>`,
  { headers: { 'content-type': 'text/html' } },
);

/** Do at better-auth's endpoint what a page's form asks for, and send the browser where that leads. */
async function forward(request, path, body) {
  const headers = new Headers({ 'content-type': 'application/json', origin: base, cookie: request.headers.get('cookie') ?? '' });
  const asked = new Request(`${base}/api/auth${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
  const answer = await auth.handler(asked);
  const said = await answer.clone().json();
  const to = said.url ?? said.redirect_uri;
  if (!answer.ok || !to) return answer;
  const back = new Response(null, { status: 302, headers: { location: to } });
  for (const cookie of answer.headers.getSetCookie()) back.headers.append('set-cookie', cookie);
  return back;
}

const shop = requireMcpAuth(auth, async (request, claims) => {
  const transport = new WebStandardStreamableHTTPServerTransport({ sessionIdGenerator: undefined });
  await tools(claims.sub).connect(transport);
  return transport.handleRequest(request);
}, { resource, issuer: `${base}/api/auth`, requiredScopes: ['shop:read'], challengeScopes: ['shop:read', 'shop:buy'] });

async function handler(request) {
  const { pathname, search } = new URL(request.url);
  const posted = request.method === 'POST' && ['/sign-in', '/consent'].includes(pathname);
  const form = posted ? Object.fromEntries(await request.formData()) : {};
  switch (`${request.method} ${pathname}`) {
    case 'GET /sign-in':
      return page('Sign in', '/sign-in', search.slice(1), `<input name="email" value="${alice.email}">`
        + `<input type="password" name="password" value="${alice.password}">`);
    case 'POST /sign-in': return forward(request, '/sign-in/email', form);
    case 'GET /consent': return page('Allow', '/consent', search.slice(1), '');
    case 'POST /consent': return forward(request, '/oauth2/consent', { accept: true, oauth_query: form.oauth_query });
    case 'POST /mcp': return shop(request);
    case 'GET /mcp':
    case 'DELETE /mcp': return new Response(null, { status: 405 });
    default: return auth.handler(request);
  }
}

createServer(toNodeHandler(handler)).listen(Number(process.argv[2]), '127.0.0.1', () =>
  console.log(JSON.stringify({ ready: resource })));
