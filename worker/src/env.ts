/** What the platform hands to the Worker by the names of `wrangler.jsonc`. */

import type { StockBinding } from "./ledger/stock";
import type { Variables } from "./settings";
import type { UserLedger } from "./user_ledger";

/** The variables and secrets, and the bindings. */
export interface Env extends Variables, StockBinding {
  USERS: DurableObjectNamespace<UserLedger>;
  /** The rate-limit binding in front; where there is none nothing is asked. */
  FRONT?: RateLimit;
  VERSION?: WorkerVersionMetadata;
}
