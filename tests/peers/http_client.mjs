// `http_client.mjs v1|v2 URL`: the official TypeScript SDK's client at a protected door. Lines of JSON on stdout:
// {"open": URL} whenever a browser has to open one, {"denied": ...} or {"tools": [...], ...} at the end.
import { Memory, listener } from './login.mjs';

const [version, url] = process.argv.slice(2);
const say = (line) => console.log(JSON.stringify(line));
const sdk = version === 'v2' ? await import('@modelcontextprotocol/client') : {
  ...(await import('@modelcontextprotocol/sdk/client/index.js')),
  ...(await import('@modelcontextprotocol/sdk/client/streamableHttp.js')),
  ...(await import('@modelcontextprotocol/sdk/client/auth.js')),
};
const who = { name: `typescript-sdk-${version}`, version: '1' };
const back = await listener();
const memory = new Memory(back.url, (link) => say({ open: link }));
let logins = 0;

/** Connect, and do `work`; where that takes authority, wait for the browser and begin again, three times at most. */
async function connected(work) {
  const client = new sdk.Client(who, version === 'v2' ? { versionNegotiation: { mode: 'auto' } } : {});
  const transport = new sdk.StreamableHTTPClientTransport(new URL(url), { authProvider: memory });
  try {
    await client.connect(transport);
    return await work(client, transport);
  } catch (error) {
    if (!(error instanceof sdk.UnauthorizedError) || logins === 3) throw error;
  } finally {
    await client.close();
  }
  logins += 1;
  const query = await back.next();
  if (query.get('state') !== memory.sent) throw new Error('another state came back');
  if (!query.get('iss')) throw new Error('no iss came back (RFC 9207)');
  if (query.get('error')) return { denied: query.get('error') };
  await transport.finishAuth(version === 'v2' ? query : query.get('code'));
  return connected(work);
}

const called = (client, name, args = {}) =>
  client.callTool({ name, arguments: args }).then((result) => result.structuredContent);
const found = await connected(async (client, transport) => ({
  tools: (await client.listTools()).tools.map((tool) => tool.name),
  inventory: await called(client, 'listMcpShopInventory'),
  bought: await called(client, 'buyMcpShopItem', { company: 'Acme', mailingAddress: '1 Main St', tshirtSize: 'M' }),
  orders: await called(client, 'listMcpShopOrders'),
  protocol: client.getNegotiatedProtocolVersion?.() ?? transport.protocolVersion,
  loginsToBuy: logins,
}));
if (!found.denied) {
  // Another scope: the server asks for more, and a person says yes once more.
  found.user = await connected((client) => called(client, 'getUserInfo'));
}
say({ ...found, logins });
back.close();
