"""Requests as clients send them, and what they put in."""
import secrets
from pathlib import Path
from typing import Optional


def new_password() -> str:
    return "pw-" + secrets.token_urlsafe(18)


def directory_store(state_dir: Path, name: str) -> dict:
    """config and secrets of backups that go to a directory below the allowed root."""
    return {"config": {"destinationPath": f"file://{state_dir}/stores/{name}"}, "secrets": {}}


def s3_store(rgw, bucket: str, prefix: str = "") -> dict:
    """The same for a bucket, with the keys of the published examples."""
    return {"config": {"endpointUrl": rgw.url, "destinationPath": f"s3://{bucket}/{prefix}"},
            "secrets": {"accessKey": rgw.access_key, "secretKey": rgw.secret_key}}


def backups(store: dict, interval_h: int = 24, retention_days: int = 7) -> dict:
    return {"enabled": True, "intervalH": interval_h, "deleteRetentionDays": retention_days, **store}


def service(team: int, name: str, password: str, store: Optional[dict] = None, **more) -> dict:
    """A PostgreSQL in the words of the house's own documentation."""
    body = {"teamId": team, "name": name, "provider": {"name": "postgresql", "version": "15"},
            "plan": {"id": 1, "parameters": {"storage": 10}}, "config": {}, "secrets": {"password": password}}
    if store is not None:
        body["backups"] = backups(store)
    return body | more


def recover(store: dict, **target) -> dict:
    """The value of recoverFrom: id=..., or msId=... and time=...."""
    return {**target, "config": store["config"], "secrets": store["secrets"]}


WELL_FILLED = """
CREATE TABLE customers (id bigint PRIMARY KEY, name text NOT NULL, joined timestamptz NOT NULL DEFAULT now());
CREATE TABLE orders (id bigserial PRIMARY KEY, customer_id bigint NOT NULL REFERENCES customers, cents bigint NOT NULL);
CREATE TABLE notes (id bigint PRIMARY KEY, body text, extra jsonb);
CREATE INDEX orders_customer ON orders (customer_id);
CREATE INDEX notes_extra ON notes USING gin (extra);
CREATE VIEW totals AS SELECT customer_id, sum(cents) AS cents FROM orders GROUP BY customer_id;
CREATE SEQUENCE tickets START 100;
INSERT INTO customers SELECT i, 'customer ' || md5(i::text) FROM generate_series(1, 5000) i;
INSERT INTO orders (customer_id, cents) SELECT 1 + i % 5000, (i * 7919) % 100000 FROM generate_series(1, 30000) i;
INSERT INTO notes SELECT i, repeat(md5(i::text), 1 + i % 200), jsonb_build_object('n', i, 'tag', 't' || i % 7)
  FROM generate_series(1, 2000) i;
SELECT nextval('tickets') FROM generate_series(1, 17);
"""
# More, after a backup: what only the write-ahead log knows.
CHANGED_SINCE = """
UPDATE customers SET name = upper(name) WHERE id % 3 = 0;
DELETE FROM orders WHERE id % 11 = 0;
INSERT INTO notes SELECT i, 'later ' || i, NULL FROM generate_series(2001, 4000) i;
CREATE TABLE made_later (id int PRIMARY KEY, payload bytea);
INSERT INTO made_later SELECT i, decode(md5(i::text), 'hex') FROM generate_series(1, 1000) i;
"""
