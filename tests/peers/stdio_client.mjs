// `stdio_client.mjs v1|v2 COMMAND [ARGUMENT]...`: the official TypeScript SDK as a host that knows stdio only.
const [version, command, ...args] = process.argv.slice(2);
const sdk = version === 'v2' ? {
  ...(await import('@modelcontextprotocol/client')),
  ...(await import('@modelcontextprotocol/client/stdio')),
} : {
  ...(await import('@modelcontextprotocol/sdk/client/index.js')),
  ...(await import('@modelcontextprotocol/sdk/client/stdio.js')),
};
const who = { name: `typescript-sdk-${version}`, version: '1' };
const client = new sdk.Client(who, version === 'v2' ? { versionNegotiation: { mode: 'auto' } } : {});
await client.connect(new sdk.StdioClientTransport({ command, args, env: process.env, stderr: 'ignore' }));
const { tools } = await client.listTools();
const bought = await client.callTool({
  name: 'buyMcpShopItem',
  arguments: { company: 'Acme', mailingAddress: '1 Main St', tshirtSize: 'M' },
});
console.log(JSON.stringify({
  tools: tools.map((tool) => tool.name),
  error: bought.isError ? bought.content[0].text : null,
  order: bought.structuredContent?.order ?? null,
  protocol: client.getNegotiatedProtocolVersion?.() ?? null,
}));
await client.close();
