"""Whether who presents a token holds the key that it is bound to (RFC 9449 sections 7.1 and 7.2).

A bound token is no bearer token: it opens nothing without a proof of its key, made for this very request and used once.
"""

from __future__ import annotations

import sqlite3
from dataclasses import replace

from demo.proofs import REMEMBERED_SECONDS, Nonces, ProofRefused, check
from demo.shop.bearer import Presented
from demo.shop.facts import Case


def read(case: Case, presented: Presented, nonces: Nonces) -> Case:
    """The case, with the proof that came with its token; or with why that is not for who presented it."""
    case = replace(case, scheme=presented.scheme)
    key = case.token.key
    if case.token.fault is not None or (key is None and presented.scheme == "Bearer"):
        return case
    if key is None:
        return replace(case, unproved=("token.bound", "unbound"))
    if not key:
        return replace(case, unproved=("token.bound", "unknown"))
    if presented.scheme == "Bearer":
        return replace(case, unproved=("token.bound", "main"))
    try:
        proof = check(presented.received, now=case.now, nonces=nonces, token=presented.token)
    except ProofRefused as refused:
        rule = "token.nonce" if refused.wants_nonce else "token.proof"
        return replace(case, unproved=(rule, refused.fault))
    if proof.key != key:
        return replace(case, unproved=("token.proof", "key"))
    return replace(case, proof=proof)


def spend(connection: sqlite3.Connection, case: Case) -> Case:
    """The case, its proof used up; or refused, where it was before. In the transaction that acts.

    A proof is forgotten a minute after it was accepted last, so that there are as many as came in minutes.
    """
    proof = case.proof
    if proof is None:
        return case
    connection.execute("DELETE FROM shop_proofs WHERE until < ?", (case.now - REMEMBERED_SECONDS,))
    noted = connection.execute(
        "INSERT INTO shop_proofs (id, until) VALUES (?, ?) ON CONFLICT (id) DO NOTHING", (proof.id, proof.until)
    )
    return replace(case, proof=None, unproved=None if noted.rowcount else ("token.proof", "replayed"))
