/** Having the authorization server ask the human for one purchase, for a client that cannot (docs/wire.md). */

import { SCOPES, TOOL_SCOPES, BUY } from "../catalog";
import type { Settings } from "../settings";
import { text } from "../wire/values";
import { askBounded, jsonObject } from "./asking";
import { basic } from "./introspection";
import { metadataOf } from "./metadata";

/** What the authorization server has of a question: where the human answers it, and how they did. */
export interface Question {
  id: string;
  url: string;
  decision: string | null;
}

/**
 * Ask, or ask how a question was answered; null where nobody can be asked.
 *
 * @param token with which the purchase was tried.
 * @param detail the purchase, as an authorization detail.
 * @param known the question of which the answer is wanted; null to ask.
 * @throws AuthServerUnavailable it does not answer.
 */
export async function askToApprove(
  token: string,
  detail: Record<string, unknown>,
  known: string | null,
  { issuer, introspection, answerTimeout }: Settings,
): Promise<Question | null> {
  if (introspection === null) return null;
  const { purchasesEndpoint } = await metadataOf(issuer, answerTimeout);
  if (purchasesEndpoint === null) return null;
  const scope = TOOL_SCOPES.get(BUY) ?? SCOPES.default;
  const headers = {
    accept: "application/json",
    "content-type": "application/json",
    authorization: basic(introspection.id, introspection.secret),
  };
  const body = JSON.stringify({ token, scope, detail, purchase: known });
  const response = await askBounded(issuer, purchasesEndpoint, { method: "POST", headers, body }, answerTimeout);
  const answer = response.status === 200 ? await jsonObject(response) : null;
  const [id, url] = [text(answer?.["purchase"]), text(answer?.["url"])];
  return id === null || url === null ? null : { id, url, decision: text(answer?.["decision"]) };
}
