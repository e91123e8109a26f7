// The part of an OAuth client that the SDK leaves to its user: where the browser comes back, and what is remembered.
import { createServer } from 'node:http';
import { randomUUID } from 'node:crypto';

/** A listener on a port of its own; `next()` is the query with which the browser comes back the next time. */
export async function listener() {
  const came = [];
  const waiting = [];
  const server = createServer((request, response) => {
    response.end('You may close this window.');
    const query = new URL(request.url, 'http://127.0.0.1').searchParams;
    waiting.length ? waiting.shift()(query) : came.push(query);
  });
  await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
  const next = () => (came.length ? Promise.resolve(came.shift()) : new Promise((come) => waiting.push(come)));
  return { url: `http://127.0.0.1:${server.address().port}/callback`, next, close: () => server.close() };
}

/** What both versions of the SDK call an OAuthClientProvider. `open` is told the URL that a browser has to open. */
export class Memory {
  constructor(redirectUrl, open) {
    this.redirectUrl = redirectUrl;
    this.open = open;
    this.kept = {};
    this.sent = randomUUID();
  }
  get clientMetadata() {
    return {
      client_name: 'A peer of the TypeScript SDK',
      redirect_uris: [this.redirectUrl],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
      application_type: 'native',
    };
  }
  state() { return this.sent; }
  clientInformation() { return this.kept.client; }
  saveClientInformation(client) { this.kept.client = client; }
  tokens() { return this.kept.tokens; }
  saveTokens(tokens) { this.kept.tokens = tokens; }
  saveCodeVerifier(verifier) { this.kept.verifier = verifier; }
  codeVerifier() { return this.kept.verifier; }
  redirectToAuthorization(url) { this.open(url.href); }
}
