/** Who a human is and what their role permits, by WorkOS's word: the access tokens that AuthKit issues to an agent
 * say neither, their scopes are OpenID Connect's own (workos.com/docs/authkit/connect/token-claims). */

import type { Settings } from "../settings";
import { isObject, text } from "../wire/values";
import { askBounded, AuthServerUnavailable, jsonObject } from "./asking";

/** Seconds that a role is believed: what an admin changes holds here after that. What a human revokes is no role
 * and is not kept. */
export const ROLE_SECONDS = 30;
const MOST_KEPT = 1000;

/** A member of one or more organizations. */
export interface Person {
  email: string | null;
  name: string | null;
  roles: string[];
  /** Whether they are an active member of the shop's organization, and the token was granted in no other. */
  member: boolean;
  /** Of all their roles together. */
  permissions: string[];
}

const kept = new Map<string, { person: Person | null; at: number }>();

/**
 * The person with this id, null where WorkOS knows none.
 *
 * Roles count as far as they are held in the shop's organization, and not where the token was granted in another.
 *
 * @param organization the one that the token names (`org_id`), or null.
 * @throws AuthServerUnavailable WorkOS cannot be asked, or does not know this shop.
 */
export async function personOf(user: string, organization: string | null, settings: Settings): Promise<Person | null> {
  const about = JSON.stringify([settings.directory, settings.organization, user, organization]);
  const known = kept.get(about);
  if (known !== undefined && Date.now() - known.at < ROLE_SECONDS * 1000) return known.person;
  const person = await readPerson(user, organization, settings);
  kept.delete(about);
  kept.set(about, { person, at: Date.now() });
  for (const oldest of kept.keys()) {
    if (kept.size <= MOST_KEPT) break;
    kept.delete(oldest);
  }
  return person;
}

async function readPerson(user: string, organization: string | null, settings: Settings): Promise<Person | null> {
  const id = encodeURIComponent(user);
  const ours = settings.organization;
  const counts = ours !== null && (organization === null || organization === ours);
  const of = new URLSearchParams({ user_id: user, organization_id: ours ?? "", statuses: "active", limit: "100" });
  const [told, memberships] = await Promise.all([
    ask(`user_management/users/${id}`, settings),
    counts ? ask(`user_management/organization_memberships?${of}`, settings) : null,
  ]);
  if (told === null) return null;
  const active = memberships === null || ours === null ? [] : activeIn(memberships, user, ours);
  const held = ours === null ? [] : active.flatMap((one) => rolesOf(one, ours));
  const permissions = await Promise.all(held.map((role) => permissionsOf(role, settings)));
  const names = [text(told["first_name"]), text(told["last_name"])].filter((part) => part !== null);
  return {
    // One that nobody has shown to be theirs opens nothing: an allowlist goes by it.
    email: told["email_verified"] === true ? text(told["email"]) : null,
    name: names.join(" ") || null,
    roles: [...new Set(held.map(({ slug }) => slug))],
    member: active.length > 0,
    permissions: [...new Set(permissions.flat())],
  };
}

interface Held {
  slug: string;
  organization: string;
}

/** A user's active memberships of an organization, among those that WorkOS has told. */
function activeIn(told: Record<string, unknown>, user: string, organization: string): Record<string, unknown>[] {
  const listed: unknown[] = Array.isArray(told["data"]) ? told["data"] : [];
  return listed
    .filter((one) => isObject(one))
    .filter((one) => one["user_id"] === user && one["status"] === "active" && one["organization_id"] === organization);
}

function rolesOf(membership: Record<string, unknown>, organization: string): Held[] {
  const roles: unknown[] = Array.isArray(membership["roles"]) ? membership["roles"] : [membership["role"]];
  const slugs = roles.map((role) => (isObject(role) ? text(role["slug"]) : null));
  return slugs.flatMap((slug) => (slug === null ? [] : [{ slug, organization }]));
}

/** A role's permissions: the environment's role of this name, else the organization's own. */
async function permissionsOf({ slug, organization }: Held, settings: Settings): Promise<string[]> {
  const [role, whose] = [encodeURIComponent(slug), encodeURIComponent(organization)];
  const told =
    (await ask(`authorization/roles/${role}`, settings)) ??
    (await ask(`authorization/organizations/${whose}/roles/${role}`, settings));
  const listed: unknown[] = Array.isArray(told?.["permissions"]) ? told["permissions"] : [];
  return listed.filter((one) => typeof one === "string");
}

/** One question to WorkOS's API; null where what is asked for is not there. */
async function ask(path: string, settings: Settings): Promise<Record<string, unknown> | null> {
  const { directory, answerTimeout } = settings;
  if (directory === null) throw new AuthServerUnavailable("this shop has no key for WorkOS");
  const headers = { authorization: `Bearer ${directory.key}`, accept: "application/json" };
  const response = await askBounded(directory.url, `${directory.url}/${path}`, { headers }, answerTimeout).catch(
    (error: unknown) => {
      throw error instanceof AuthServerUnavailable
        ? new AuthServerUnavailable(`WorkOS: ${error.message}`, error.fix)
        : error;
    },
  );
  if (response.status === 404) return null;
  if (response.status === 401 || response.status === 403) {
    throw new AuthServerUnavailable(
      "WorkOS does not know this shop",
      "set its key: npx wrangler secret put WORKOS_API_KEY",
    );
  }
  const answer = response.status === 200 ? await jsonObject(response) : null;
  if (answer === null) throw new AuthServerUnavailable(`WorkOS answers HTTP ${response.status}`);
  return answer;
}
