import { cloudflareTest } from "@cloudflare/vitest-pool-workers";
import { defineConfig } from "vitest/config";

/** The Worker and its objects run in workerd itself; their authorization server is the tests' own (`test/world.ts`). */
export default defineConfig({
  plugins: [
    cloudflareTest({
      wrangler: { configPath: "./wrangler.jsonc" },
      miniflare: {
        bindings: {
          ISSUER: "https://auth.test",
          INTROSPECTION_CLIENT_ID: "shop",
          INTROSPECTION_CLIENT_SECRET: "a secret: of the/shop",
        },
      },
    }),
  ],
  test: { include: ["test/*.test.ts"], testTimeout: 20_000 },
});
