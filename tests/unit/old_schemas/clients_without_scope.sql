-- What a local server made before its file had schema versions.
CREATE TABLE IF NOT EXISTS shop_stock (item TEXT PRIMARY KEY, left INTEGER NOT NULL CHECK (left >= 0));
CREATE TABLE IF NOT EXISTS shop_orders (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, at REAL NOT NULL,
    door TEXT NOT NULL, account TEXT NOT NULL, user TEXT, agent TEXT, client TEXT, consent TEXT,
    item TEXT NOT NULL, size TEXT NOT NULL, company TEXT NOT NULL, address TEXT NOT NULL,
    amount INTEGER NOT NULL, currency TEXT NOT NULL, audit_id TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS shop_orders_account ON shop_orders (account);
CREATE INDEX IF NOT EXISTS shop_orders_user ON shop_orders (door, user);
CREATE TABLE IF NOT EXISTS shop_keys (
    caller TEXT NOT NULL, key TEXT NOT NULL, arguments TEXT NOT NULL,
    order_id TEXT NOT NULL REFERENCES shop_orders (id), PRIMARY KEY (caller, key));
CREATE TABLE IF NOT EXISTS shop_audit (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, audit_id TEXT NOT NULL UNIQUE, user TEXT, decision TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS shop_audit_user ON shop_audit (user);
CREATE TABLE IF NOT EXISTS shop_bans (user TEXT PRIMARY KEY, at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS shop_rates (key TEXT PRIMARY KEY, used INTEGER NOT NULL, expires_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS authority_keys (
    kid TEXT PRIMARY KEY, jwk TEXT NOT NULL, created_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS authority_agents (
    id TEXT PRIMARY KEY, sub TEXT NOT NULL, client_id TEXT NOT NULL, created_at REAL NOT NULL,
    UNIQUE (sub, client_id));
CREATE TABLE IF NOT EXISTS authority_consents (
    id TEXT PRIMARY KEY, sub TEXT NOT NULL, client_id TEXT NOT NULL, scope TEXT NOT NULL, resources TEXT NOT NULL,
    authorization_details TEXT NOT NULL, created_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS authority_sessions (
    id TEXT PRIMARY KEY, consent_id TEXT NOT NULL REFERENCES authority_consents (id),
    agent_id TEXT REFERENCES authority_agents (id), auth_time REAL NOT NULL, created_at REAL NOT NULL,
    revoked_at REAL, revoked_by_kind TEXT, revoked_by TEXT);
CREATE INDEX IF NOT EXISTS authority_sessions_consent ON authority_sessions (consent_id);
CREATE TABLE IF NOT EXISTS authority_standing (
    kind TEXT NOT NULL, id TEXT NOT NULL, revoked_at REAL NOT NULL, revoked_by TEXT NOT NULL,
    PRIMARY KEY (kind, id));
CREATE TABLE IF NOT EXISTS authority_refresh_tokens (
    digest TEXT PRIMARY KEY, session_id TEXT NOT NULL REFERENCES authority_sessions (id), client_id TEXT NOT NULL,
    created_at REAL NOT NULL, expires_at REAL NOT NULL, used_at REAL);
CREATE INDEX IF NOT EXISTS authority_refresh_tokens_expiry ON authority_refresh_tokens (expires_at);
CREATE TABLE IF NOT EXISTS authority_device_requests (
    id TEXT PRIMARY KEY, device_code_digest TEXT NOT NULL UNIQUE, user_code_digest TEXT NOT NULL UNIQUE,
    client_id TEXT NOT NULL, scope TEXT NOT NULL, resources TEXT NOT NULL, authorization_details TEXT NOT NULL,
    created_at REAL NOT NULL, expires_at REAL NOT NULL, interval REAL NOT NULL, polled_at REAL,
    decision TEXT, decided_at REAL, session_id TEXT REFERENCES authority_sessions (id), redeemed_at REAL);
CREATE TABLE IF NOT EXISTS authority_authorization_codes (
    id TEXT PRIMARY KEY, code_digest TEXT NOT NULL UNIQUE, client_id TEXT NOT NULL, redirect_uri TEXT NOT NULL,
    code_challenge TEXT NOT NULL, nonce TEXT, session_id TEXT NOT NULL REFERENCES authority_sessions (id),
    expires_at REAL NOT NULL, redeemed_at REAL);
CREATE TABLE IF NOT EXISTS authority_clients (
    client_id TEXT PRIMARY KEY, source TEXT NOT NULL, name TEXT NOT NULL, auth_method TEXT NOT NULL,
    secret_digest TEXT, redirect_uris TEXT NOT NULL, grant_types TEXT NOT NULL, created_at REAL NOT NULL,
    fresh_until REAL);
CREATE TABLE IF NOT EXISTS authority_browser_sessions (
    digest TEXT PRIMARY KEY, sub TEXT NOT NULL, signed_in_at REAL NOT NULL, expires_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS authority_wrong_codes (address TEXT NOT NULL, at REAL NOT NULL);
CREATE INDEX IF NOT EXISTS authority_wrong_codes_address ON authority_wrong_codes (address, at);
CREATE TABLE world (id TEXT NOT NULL, secret TEXT NOT NULL);
