"""The document of an API, and the ways to break it."""

import copy
import json
from typing import Any

PETS: dict[str, Any] = {
    "openapi": "3.0.3",
    "servers": [
        {"url": "https://{region}.pets.test/v2", "variables": {"region": {"default": "eu"}}}
    ],
    "paths": {
        "/pets/{petId}": {
            "parameters": [{"$ref": "#/components/parameters/petId"}],
            "get": {
                "operationId": "getPet",
                "summary": "Get one pet.",
                "parameters": [
                    {"in": "query", "name": "fields", "schema": {"type": "array", "items": {}}},
                    {
                        "in": "query",
                        "name": "tags",
                        "explode": False,
                        "schema": {"type": "array", "items": {"type": "string"}},
                    },
                    {
                        "in": "query",
                        "name": "filter[age]",
                        "style": "deepObject",
                        "schema": {"type": "object"},
                    },
                    {"in": "query", "name": "where", "schema": {"type": "object"}},
                    {"in": "query", "name": "api_key", "schema": {"type": "string"}},
                    {"in": "header", "name": "X-Trace", "schema": {"type": "string"}},
                    {"in": "header", "name": "Authorization", "schema": {"type": "string"}},
                    {"in": "header", "name": "Host", "schema": {"type": "string"}},
                    {"in": "header", "name": "X-Forwarded-For", "schema": {"type": "string"}},
                    {
                        "in": "header",
                        "name": "X-Key",
                        "required": True,
                        "schema": {"type": "string"},
                    },
                    {"in": "cookie", "name": "session", "schema": {"type": "string"}},
                ],
            },
            "delete": {"operationId": "deletePet"},
        },
        "/pets": {
            "post": {
                "operationId": "pets.add",
                "description": "Add a pet.",
                "requestBody": {"$ref": "#/components/requestBodies/pet"},
            },
            "put": {
                "requestBody": {
                    "content": {"application/x-www-form-urlencoded": {"schema": {"type": "object"}}}
                }
            },
        },
    },
    "components": {
        "parameters": {
            "petId": {
                "in": "path",
                "name": "petId",
                "required": True,
                "description": "Which one.",
                "schema": {"type": "string"},
            }
        },
        "requestBodies": {
            "pet": {
                "required": True,
                "content": {
                    "application/json": {"schema": {"$ref": "#/components/schemas/Pet"}},
                },
            }
        },
        "schemas": {
            "Pet": {
                "type": "object",
                "required": ["name"],
                "properties": {
                    "name": {"type": "string", "nullable": True, "example": "Rex"},
                    "age": {"type": "integer", "minimum": 0, "exclusiveMinimum": True},
                    "parent": {"$ref": "#/components/schemas/Pet"},
                },
            }
        },
    },
}


def pets(**changes: Any) -> dict[str, Any]:
    """Return the document, with other values at the top."""
    return {**copy.deepcopy(PETS), **changes}


def of_operation(operation: dict[str, Any], path: str = "/x", **changes: Any) -> bytes:
    """Return a document with this operation alone."""
    paths = {path: {"post": {"operationId": "it", **operation}}}
    return json.dumps(pets(paths=paths, **changes)).encode()
