/** Who is let in, by the same cases as the local shop's. */

import { expect, test } from "vitest";
import { NO_FACTS, NO_STANDING } from "../src/policy/facts";
import { checkAllowlist } from "../src/policy/gates";
import cases from "./allowlist.json";

interface Case {
  what: string;
  allowlist: string[];
  username: string | null;
  roles?: string[];
  granted?: string | null;
  organization?: string | null;
  in: boolean;
}

const ruled = (one: Case, member: boolean | null = null) =>
  checkAllowlist({
    token: { ...NO_FACTS, user: "user_1", organization: one.granted ?? null },
    now: 0,
    rules: {
      audiences: [],
      issuer: "",
      allowlist: one.allowlist,
      organization: one.organization ?? null,
      tokenTypes: null,
      leeway: 1,
    },
    method: null,
    tool: null,
    scope: null,
    standing: { ...NO_STANDING, known: true, active: true, username: one.username, roles: one.roles ?? [], member },
    skew: null,
    unproved: null,
  });

test.each(cases as Case[])("$what", (one) => {
  expect(ruled(one) === null).toBe(one.in);
});

test.each([
  ["an active member, though the token names no organization", true, null, true],
  ["no member any more, though the token was granted there", false, "org_1", false],
  ["a member, by a token that was granted in another", true, "org_hers", false],
])("what WorkOS says of the membership counts: %s", (_, member, granted, let_in) => {
  const one = { what: "", allowlist: ["members"], username: "a@b.c", granted, organization: "org_1", in: let_in };
  expect(ruled(one, member) === null).toBe(let_in);
});
