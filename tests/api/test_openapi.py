"""The description of the HTTP surface: true, and complete about errors."""

from typing import Any

import schemathesis
from fastapi import APIRouter
from hypothesis import HealthCheck, settings
from pydantic import StrictInt

from tests.api.scene import service

numbers = APIRouter()


@numbers.post("/numbers/{number}")
async def count(number: int, body: dict[str, StrictInt], wanted: int = 0) -> dict[str, int]:
    """Return what was given."""
    return body | {"number": number, "wanted": wanted}


app = service(numbers)
schema: Any = schemathesis.openapi.from_dict(app.openapi())
schema.app = app


def test_every_operation_says_how_it_refuses_and_how_it_fails() -> None:
    described = app.openapi()
    operations = [op for path in described["paths"].values() for op in path.values()]
    assert len(operations) == 3
    for operation in operations:
        for status in ("4XX", "5XX"):
            (content,) = operation["responses"][status]["content"].values()
            assert content["schema"] == {"$ref": "#/components/schemas/ErrorAnswer"}
        assert "422" not in operation["responses"]
    assert set(described["components"]["schemas"]["ErrorDetail"]["required"]) == {
        "code",
        "message",
        "request_id",
    }


def test_probes_are_described_once_though_they_answer_to_head_too() -> None:
    assert list(app.openapi()["paths"]["/readyz"]) == ["get"]
    assert list(app.openapi()["components"]["schemas"]["Ready"]["properties"]) == [
        "status",
        "database",
        "schema",
        "worker",
    ]


@schema.parametrize()  # type: ignore[untyped-decorator]
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_whatever_is_asked_the_answer_is_one_that_is_described(case: Any) -> None:
    response = case.call()
    case.validate_response(response)
