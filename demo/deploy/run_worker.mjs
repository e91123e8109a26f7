// Runs the Worker under workerd by wrangler's own API, without what `wrangler dev` always brings: an inspector, which
// evaluates code for any program that reaches its port, and a registry of other Workers of this machine. The API is
// `unstable_startWorker` (developers.cloudflare.com/workers/wrangler/api/#unstable_startworker); the lock file pins the
// version that it is used with.
//
// One argument, JSON: {"worker": folder, "port": number, "variables": {...}, "secrets": file, "persist": folder,
// "seconds": number or null}: after so many it ends by itself, with all that it has started.
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { join } from "node:path";

const given = JSON.parse(process.argv[2]);
let started = null;
const { unstable_startWorker } = createRequire(join(given.worker, "package.json"))("wrangler");

if (given.seconds !== null) setTimeout(end, 1000 * given.seconds);

// The API does not say that a port is taken: workerd is started again and again, in silence.
await new Promise((free) => {
  const probe = createServer();
  probe.once("error", (error) => failed(`port ${given.port} cannot be listened on: ${error.code}`));
  probe.listen(given.port, "127.0.0.1", () => probe.close(free));
});

// Another process of workerd for the Worker, on the same objects and at the same port: what bundles it, and what listens
// for it, go on. The one before may have been killed already.
process.on("SIGUSR2", () => started?.patchConfig({}).catch(failed));

const plain = Object.entries(given.variables).map(([name, value]) => [name, { type: "plain_text", value }]);
started = await unstable_startWorker({
  config: join(given.worker, "wrangler.jsonc"),
  envFiles: [given.secrets],
  bindings: Object.fromEntries(plain),
  // As `wrangler deploy` bundles it; the API leaves Node's modules out unless it is told.
  build: { nodejsCompatMode: (config) => (config.compatibility_flags.includes("nodejs_compat") ? "v2" : null) },
  dev: {
    remote: false,
    inspector: false,
    server: { hostname: "127.0.0.1", port: given.port, secure: false },
    persist: given.persist,
    liveReload: false,
    logLevel: "warn",
    watch: false,
  },
});
started.raw.on("error", (event) => failed(event.reason ?? event));
await started.ready;

// Wrangler's own end takes the programs that it has started along; where it hangs, the end of their group does.
function end() {
  setTimeout(() => (process.platform === "win32" ? process.exit(0) : process.kill(-process.pid, "SIGKILL")), 3000);
  started?.dispose().finally(() => process.exit(0));
}

function failed(why) {
  console.error(`ERROR ${why?.stack ?? why}`);
  process.exit(1);
}
