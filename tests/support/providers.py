"""Published providers for tests."""
from typing import Optional


def definition(name: str, endpoint: str, secret: str, version: str = "v1", **more) -> dict:
    """A provider with all that a backend can do."""
    return {
        "name": name, "schemaVersion": version, "author": "tests", "category": "databases", "displayName": name.title(),
        "iconUrl": "", "description": "for tests",
        "capabilities": {"pause": True, "backups": True, "pointInTimeRecovery": True},
        "configSchema": {"type": "object", "additionalProperties": False, "properties": {
            "size": {"type": "string"}, "flavour": {"type": "string", "default": "plain"}}},
        "secretsSchema": {"type": "object", "required": ["password"],
                          "properties": {"password": {"type": "string", "format": "password", "minLength": 8}}},
        "detailsSchema": {"type": "object"},
        "backups": {"configSchema": {"type": "object", "required": ["bucket"],
                                     "properties": {"bucket": {"type": "string"}}},
                    "secretsSchema": {"type": "object"}},
        "plans": [{"id": 0, "name": "small", "description": "", "parameters": {
            "storage": {"pricedAs": "storage-mib", "schema": {"type": "integer", "default": 1024, "minimum": 1,
                                                              "x-update-constraint": "increase-only"}},
            "memory": {"pricedAs": "ram-mib", "schema": {"type": "integer", "default": 256, "readOnly": True}}}}],
        "backend": {"api": {"endpoint": endpoint, "secret": secret}}, **more}


def relay(name: str, source: dict, endpoint: str, secret: str) -> dict:
    """A provider of another Backstay, published here: its own definition with its adapter as the backend."""
    kept = {key: source[key] for key in ("author", "category", "displayName", "iconUrl", "description", "configSchema",
                                         "secretsSchema", "detailsSchema", "plans", "capabilities", "backups")}
    return {**kept, "name": name, "schemaVersion": "v1", "backend": {"api": {"endpoint": endpoint, "secret": secret}}}


def service(team: int, name: str, provider: str, config: Optional[dict] = None, **more) -> dict:
    return {"teamId": team, "name": name, "provider": {"name": provider, "schemaVersion": "v1"},
            "plan": {"id": 0, "parameters": {"storage": 2048}}, "config": {} if config is None else config,
            "secrets": {"password": "correct horse"}, **more}
