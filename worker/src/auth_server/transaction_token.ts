/** A transaction token for one purchase: the authorization server makes it of the agent's access token, as this shop was
 * shown it (RFC 8693; draft-ietf-oauth-transaction-tokens-10). So the agent's token goes no further than there. */

import { createHash } from "node:crypto";
import { BUY } from "../catalog";
import type { Waiting } from "../ledger/outbox";
import type { Settings } from "../settings";
import { canonical } from "../wire/message";
import { text } from "../wire/values";
import { askBounded, AuthServerUnavailable, jsonObject } from "./asking";
import { basic } from "./introspection";
import { metadataOf, TOKEN_EXCHANGE } from "./metadata";

const ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token";
const TXN_TOKEN = "urn:ietf:params:oauth:token-type:txn_token";
const PURPOSE = "order.ship";
/** What another token of the same session would not change (RFC 6749 section 5.2, RFC 8707 section 2). */
const FINAL = ["unsupported_grant_type", "unauthorized_client", "invalid_client", "invalid_target", "invalid_scope"];

/** The authorization server makes no transaction token of this access token; `final`: nor of another of its session. */
export class NoTransactionToken extends Error {
  constructor(
    message: string,
    readonly final: boolean,
  ) {
    super(message);
  }
}

/** What of an order its token is bound to, which many may read: of what is sent, and where to, only a digest. */
export function detailsOf({ order, amount, currency, size, company, address }: Waiting): Record<string, unknown> {
  const parcel = createHash("sha256")
    .update(canonical([size, company, address]), "utf8")
    .digest("hex");
  return { order, tool: BUY, amount, currency, parcel };
}

/**
 * A transaction token for one order.
 *
 * @param token the agent's, with which it was bought or a later one of the same session.
 * @throws AuthServerUnavailable it cannot be asked now, or answers what it should not.
 * @throws NoTransactionToken it says no.
 */
export async function transactionToken(token: string, order: Waiting, settings: Settings): Promise<string> {
  const { issuer, introspection, answerTimeout } = settings;
  const { tokenExchangeEndpoint } = await metadataOf(issuer, answerTimeout);
  if (tokenExchangeEndpoint === null || introspection === null) {
    throw new NoTransactionToken("the authorization server exchanges no tokens", true);
  }
  const body = new URLSearchParams({
    grant_type: TOKEN_EXCHANGE,
    requested_token_type: TXN_TOKEN,
    audience: `${issuer}/internal`,
    scope: PURPOSE,
    subject_token: token,
    subject_token_type: ACCESS_TOKEN,
    request_details: btoa(canonical(detailsOf(order)))
      .replaceAll("+", "-")
      .replaceAll("/", "_")
      .replace(/=+$/, ""),
  });
  const headers = { accept: "application/json", authorization: basic(introspection.id, introspection.secret) };
  const response = await askBounded(issuer, tokenExchangeEndpoint, { method: "POST", headers, body }, answerTimeout);
  const answer = await jsonObject(response);
  const made = text(answer?.["access_token"]);
  if (response.status === 200 && answer?.["issued_token_type"] === TXN_TOKEN && made !== null) return made;
  if ([400, 401, 403].includes(response.status)) {
    const error = text(answer?.["error"]);
    const why = text(answer?.["error_description"]) ?? error ?? String(response.status);
    throw new NoTransactionToken(why, FINAL.includes(error ?? ""));
  }
  throw new AuthServerUnavailable(`the authorization server made no transaction token (HTTP ${response.status})`);
}
