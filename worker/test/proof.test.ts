/** What a proof of possession is worth: the check of the authorization server, of the local shop and of this one, by the
 * same cases; and at the door, what a bound token opens (RFC 9449 sections 4.3, 7 and 9). */

import { calculateJwkThumbprint, exportJWK, generateKeyPair, type CryptoKey, type JWK } from "jose";
import { beforeAll, expect, test } from "vitest";
import { check, Nonces, normal } from "../src/policy/proof";
import cases from "./proofs.json";

interface Case {
  what: string;
  fault: string | null;
  raw?: string[];
  header?: Record<string, unknown>;
  claims?: Record<string, unknown>;
  key?: "private" | "other" | "tampered";
  age?: number;
  nonce?: number;
}

const NOW = 1_800_000_000;
const HERE = "https://shop.example/mcp";
const TOKEN = "eyJ.eyJ.c2ln";
const nonces = new Nonces("a secret of this test");
let [own, other, pair]: [JWK, JWK, CryptoKey | null] = [{}, {}, null];

beforeAll(async () => {
  const { privateKey } = await generateKeyPair("ES256", { extractable: true });
  [own, pair] = [await exportJWK(privateKey), privateKey];
  other = await exportJWK((await generateKeyPair("ES256", { extractable: true })).privateKey);
});

/** The proof of a case: a good one, with what the case changes in it; null takes a member away. */
async function made({ key, age = 0, nonce, header, claims }: Case): Promise<string> {
  const named = key === "other" ? other : own;
  const { d, ...open } = named;
  const head = without({ typ: "dpop+jwt", alg: "ES256", jwk: key === "private" ? named : open, ...header });
  const said = without({
    jti: crypto.randomUUID(),
    htm: "POST",
    htu: HERE,
    ath: encoded(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(TOKEN))),
    iat: NOW - age,
    ...(nonce === undefined ? {} : { nonce: await nonces.issue(NOW - nonce) }),
    ...claims,
  });
  const signed = [head, said].map((one) => encoded(new TextEncoder().encode(JSON.stringify(one)).buffer));
  const algorithm = { name: "ECDSA", hash: "SHA-256" };
  const signature = await crypto.subtle.sign(algorithm, pair!, new TextEncoder().encode(signed.join(".")));
  if (key === "tampered") signed[1] = encoded(new TextEncoder().encode(JSON.stringify({ ...said, jti: "x" })).buffer);
  return [...signed, encoded(signature)].join(".");
}

function without(members: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== null));
}

function encoded(value: ArrayBufferLike): string {
  const text = btoa(String.fromCharCode(...new Uint8Array(value)));
  return text.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

test.each(cases as Case[])("$what", async (one) => {
  const good = await made(one);
  const sent = (one.raw ?? ["same"]).map((text) => (text === "same" ? good : text));
  const proof = sent.length === 0 ? null : sent.join(", ");
  const found = await check({ proof, method: "POST", urls: [HERE] }, TOKEN, nonces, NOW);
  if (one.fault !== null) return expect(found).toBe(one.fault);
  expect(found).toMatchObject({ key: await calculateJwkThumbprint(own) });
});

test("a nonce of another secret is none of ours", async () => {
  const nonce = await nonces.issue(NOW);
  expect(await nonces.madeAt(nonce)).toBe(NOW);
  expect(await new Nonces("another").madeAt(nonce)).toBeNull();
  for (const other of ["", ".", "1800000000.", `1${nonce}`, `${nonce}x`]) expect(await nonces.madeAt(other)).toBeNull();
});

test("a URL of nobody's is equal to none", () => {
  for (const url of ["", "/mcp", "https:shop.example/mcp", "ftp://shop.example/mcp", "https://a@shop.example/mcp"]) {
    expect(normal(url)).toBeNull();
  }
});
