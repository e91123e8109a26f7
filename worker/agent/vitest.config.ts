import { defineConfig } from "vitest/config";

/** What decides is tested here, without a server; what speaks is tested against a real shop (`tests/contract/agent`). */
export default defineConfig({ test: { include: ["test/*.test.ts"] } });
