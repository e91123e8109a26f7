// A shop on the official TypeScript SDK, behind an authorization server of one's choice: the tools of the talk's first
// edition, protected resource metadata (RFC 9728), JWT access tokens (RFC 9068), and bound ones where that is wanted.
import { createHash } from 'node:crypto';
import { createMcpExpressApp } from '@modelcontextprotocol/sdk/server/express.js';
import { requireBearerAuth } from '@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js';
import { InvalidTokenError } from '@modelcontextprotocol/sdk/server/auth/errors.js';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { EmbeddedJWK, calculateJwkThumbprint, jwtVerify } from 'jose';
import { z } from 'zod';

const orders = [];
const said = (structuredContent) => ({
  structuredContent,
  content: [{ type: 'text', text: JSON.stringify(structuredContent) }],
});

/** A server for one request, with the shop's three tools. */
export function tools(human) {
  const server = new McpServer({ name: 'A shop on the TypeScript SDK', version: '1.0.0' });
  server.registerTool('listMcpShopInventory', { description: 'List what the shop has.', inputSchema: {} }, async () =>
    said({ items: [{ name: 'T-shirt', price: '20.00 USD' }] }));
  const shirt = { company: z.string(), mailingAddress: z.string(), tshirtSize: z.enum(['S', 'M', 'L', 'XL', 'XXL']) };
  server.registerTool('buyMcpShopItem', { description: 'Buy a shirt.', inputSchema: shirt }, async (asked) => {
    orders.push({ id: orders.length + 1, user: human, company: asked.company, size: asked.tshirtSize });
    return said({ order: orders.at(-1) });
  });
  server.registerTool('listMcpShopOrders', { description: 'List your orders.', inputSchema: {} }, async () =>
    said({ orders: orders.filter((order) => order.user === human) }));
  return server;
}

/** What a bound token has to come with (RFC 9449 sections 4.3 and 7.1). */
async function proven(request, url, token, claims, seen) {
  const { payload, protectedHeader } = await jwtVerify(request.headers.dpop ?? '', EmbeddedJWK, {
    typ: 'dpop+jwt', algorithms: ['ES256'], maxTokenAge: 60,
  });
  const hash = createHash('sha256').update(token).digest('base64url');
  const bound = claims.cnf?.jkt === await calculateJwkThumbprint(protectedHeader.jwk);
  const fresh = payload.jti && !seen.has(payload.jti);
  seen.add(payload.jti);
  if (!bound || !fresh || payload.htm !== request.method || payload.htu !== url || payload.ath !== hash) {
    throw new Error('the proof is for something else');
  }
}

/**
 * Listen at `url`.
 *
 * `verify(token)` gives the claims of a token that `issuer` made for this server, or throws. With `dpop` a token is taken
 * with a proof only. `needs(tool)` names the scopes for a call; a token with less is told so (403).
 */
export async function open({ url, issuer, verify, scopes, needs = () => scopes, dpop = false }) {
  const { hostname, port, origin, pathname } = new URL(url);
  const document = `/.well-known/oauth-protected-resource${pathname}`;
  const app = createMcpExpressApp({ host: hostname });
  app.get(document, (_, response) => response.json({
    resource: url,
    authorization_servers: [issuer],
    scopes_supported: scopes,
    bearer_methods_supported: ['header'],
    ...(dpop ? { dpop_bound_access_tokens_required: true, dpop_signing_alg_values_supported: ['ES256'] } : {}),
  }));
  const seen = new Set();
  const checks = (request, response, next) => {
    const [scheme, token] = (request.headers.authorization ?? '').split(' ');
    // The SDK's middleware knows the scheme Bearer only: a bound token is shown to it as one, after its proof was checked.
    if (dpop && scheme.toLowerCase() === 'dpop') request.headers.authorization = `Bearer ${token}`;
    const verifier = {
      async verifyAccessToken(presented) {
        try {
          const claims = await verify(presented);
          if (dpop && scheme.toLowerCase() !== 'dpop') throw new Error('a bound token needs the scheme DPoP');
          if (dpop) await proven(request, url, presented, claims, seen);
          return {
            token: presented, clientId: claims.client_id, scopes: (claims.scope ?? '').split(' '),
            expiresAt: claims.exp, resource: new URL(url), extra: { sub: claims.sub },
          };
        } catch (error) {
          throw new InvalidTokenError(String(error.message).replaceAll('"', "'"));
        }
      },
    };
    const called = request.body?.method === 'tools/call' ? request.body.params?.name : undefined;
    const gate = { verifier, requiredScopes: needs(called), resourceMetadataUrl: `${origin}${document}` };
    return requireBearerAuth(gate)(request, response, next);
  };
  app.post(pathname, checks, async (request, response) => {
    const server = tools(request.auth.extra.sub);
    const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined });
    response.on('close', () => { transport.close(); server.close(); });
    await server.connect(transport);
    await transport.handleRequest(request, response, request.body);
  });
  app.all(pathname, (_, response) => response.sendStatus(405));
  await new Promise((ready) => app.listen(Number(port), hostname, ready));
  console.log(JSON.stringify({ ready: url }));
}
