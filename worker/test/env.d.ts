import type { Env as ShopEnv } from "../src/env";

declare global {
  namespace Cloudflare {
    interface Env extends ShopEnv {}
    interface GlobalProps {
      mainModule: typeof import("../src/worker");
    }
  }
}
