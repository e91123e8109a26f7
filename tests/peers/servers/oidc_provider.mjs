// `oidc_provider.mjs AUTHORIZATION_PORT SHOP_PORT SECONDS bearer|dpop|no-refresh`: npm's oidc-provider, a certified OpenID provider,
// with its own sign-in pages for development, in front of a shop. It registers clients, makes out access tokens for one
// resource (RFC 8707) that live SECONDS, rotates refresh tokens, offers the device flow, revocation, and DPoP (RFC 9449).
// Without refresh tokens it offers revocation all the same, and refuses it: its access tokens are JWTs.
import { createRemoteJWKSet, jwtVerify } from 'jose';
import Provider, { errors } from 'oidc-provider';
import { open } from './shop.mjs';

const [port, shopPort, seconds, kind] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const url = `http://127.0.0.1:${shopPort}/mcp`;
const scopes = ['shop:read', 'shop:buy'];
const dpop = kind === 'dpop';

const provider = new Provider(issuer, {
  scopes: ['openid', ...(kind === 'no-refresh' ? [] : ['offline_access']), ...scopes],
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  features: {
    registration: { enabled: true },
    revocation: { enabled: true, allowedPolicy: (_, client, token) => token.clientId === client.clientId },
    deviceFlow: { enabled: true },
    dPoP: { enabled: dpop },
    resourceIndicators: {
      enabled: true,
      useGrantedResource: () => true,
      getResourceServerInfo: (_, resource) => {
        if (resource !== url) throw new errors.InvalidTarget();
        return { scope: scopes.join(' '), audience: url, accessTokenFormat: 'jwt', accessTokenTTL: Number(seconds) };
      },
    },
  },
  // As many an OpenID provider does: a refresh token is for one use.
  rotateRefreshToken: () => true,
});
await new Promise((ready) => provider.listen(Number(port), '127.0.0.1', ready));

const keys = createRemoteJWKSet(new URL(`${issuer}/jwks`));
await open({
  url,
  issuer,
  scopes,
  dpop,
  needs: (tool) => (tool === 'buyMcpShopItem' ? scopes : ['shop:read']),
  verify: async (token) => (await jwtVerify(token, keys, { issuer, audience: url, typ: 'at+jwt' })).payload,
});
