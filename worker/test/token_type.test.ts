/** Which JWT is an access token: the policy of the agent, of the local shop and of this one, by the same cases. */

import { expect, test } from "vitest";
import { accepted, objection, typeOf } from "../src/policy/token_type";
import type { Env } from "../src/env";
import { readSettings } from "../src/settings";
import cases from "./token_types.json";

interface Case {
  what: string;
  header: Record<string, unknown>;
  claims: { iss?: string; sid?: string };
  is: string;
  access: boolean;
}

test.each(cases as Case[])("$what", ({ header, claims, is, access }) => {
  const kind = typeOf(header, claims);
  expect(kind).toBe(is);
  const why = objection(kind, accepted(claims.iss ?? "", claims.sid ?? null));
  expect(why === null).toBe(access);
});

test.each([
  ["", null],
  ["JWT", ["jwt"]],
  ["at+jwt, absent", ["at+jwt", "absent"]],
  ["application/at+jwt,AT+JWT", ["at+jwt", "at+jwt"]],
])("TOKEN_TYPES = %j", (told, types) => {
  expect(readSettings({ TOKEN_TYPES: told } as Env, "https://shop.test").tokenTypes).toEqual(types);
});
