/** Whether this shop and its authorization server fit together, found out without anybody's token: for `/health`, from
 * which `demo doctor` and `demo deploy` tell the one who runs the shop what to fix. */

import { say } from "../catalog";
import type { Settings } from "../settings";
import { askBounded, AuthServerUnavailable, jsonObject } from "./asking";
import { personOf } from "./directory";
import { introspect } from "./introspection";
import { metadataOf } from "./metadata";

/** Milliseconds that a finding is kept: anybody may ask, and the authorization server is not to be flooded for it. */
const KEPT_MS = 5000;

/** No token, and so nobody's: an authorization server that knows this shop calls it inactive (RFC 7662 section 2.2). */
const NO_TOKEN = "is-this-shop-known-to-you";

/** No user's id: WorkOS, if it knows this shop's key, knows no such user. */
const NOBODY = "user_is_this_shop_known_to_you";

export interface Fit {
  issuer: string;
  /** Whether the authorization server is asked about each token (RFC 7662); else a token is believed until it expires. */
  introspection: boolean;
  /** What does not fit, and what to do about it; both null where all does. */
  problem: string | null;
  fix: string | null;
}

let last: { about: string; at: number; found: Fit | null } | null = null;

/** How the shop and its authorization server fit, at most a few seconds old; null where another request is finding
 * out. */
export async function fitOf(settings: Settings): Promise<Fit | null> {
  const about = JSON.stringify([settings.issuer, settings.introspection, settings.directory]);
  if (last !== null && last.about === about && Date.now() - last.at < KEPT_MS) return last.found;
  const mine = { about, at: Date.now(), found: last?.about === about ? last.found : null };
  last = mine;
  mine.found = await find(settings);
  return mine.found;
}

async function find(settings: Settings): Promise<Fit> {
  const { issuer, introspection, answerTimeout } = settings;
  const fit = { issuer, introspection: introspection !== null, problem: null, fix: null };
  try {
    const { jwksUri } = await metadataOf(issuer, answerTimeout);
    const response = await askBounded(issuer, jwksUri, {}, answerTimeout);
    const keys = response.status === 200 ? await jsonObject(response) : null;
    if (!Array.isArray(keys?.["keys"])) throw new AuthServerUnavailable(say("keys_unreadable"));
    if (introspection !== null) await introspect(NO_TOKEN, introspection, settings);
    if (settings.directory !== null) await personOf(NOBODY, null, settings);
    return fit;
  } catch (error) {
    if (!(error instanceof AuthServerUnavailable)) throw error;
    return {
      ...fit,
      problem: error.message,
      fix: error.fix ?? "see whether ISSUER is right, and whether it answers",
    };
  }
}
