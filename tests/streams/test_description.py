"""The real service, asked whatever its description allows and more: it never breaks."""

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from pydantic import SecretStr

from backend.api.application import ServiceParts, create_app
from backend.api.streams.routes import StreamParts, stream_routes
from backend.api.webhooks import webhook_routes
from backend.integrations.supabase.service_role import create_service_role
from tests.api.scene import always_ready
from tests.support.cluster import PreparedCluster
from tests.support.identities import ADA
from tests.support.processes import open_workshop
from tests.support.service import ServiceProcess, Services, SignIn, open_sign_in
from tests.support.webhooks import SECRET


async def _nobody() -> None:
    return


def _description() -> dict[str, Any]:
    """Return what the service says of itself; nothing of it is asked here."""
    streams = stream_routes(cast("StreamParts", None))
    webhooks = webhook_routes([SecretStr(SECRET)], _nobody)
    return create_app(ServiceParts(probe=always_ready, routers=[streams, webhooks])).openapi()


schema: Any = schemathesis.openapi.from_dict(_description())


@pytest.fixture(scope="module")
def place(cluster: PreparedCluster) -> Iterator[tuple[ServiceProcess, SignIn]]:
    """Yield a service, and who may sign in there."""
    with ExitStack() as stack:
        database = stack.enter_context(cluster.database())
        url = asyncio.run(create_service_role(database.url("postgres")))
        workshop = stack.enter_context(open_workshop(url))
        sign_in = stack.enter_context(open_sign_in())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        services = Services(workshop, sign_in, folder)
        stack.callback(services.close)
        yield asyncio.run(services.ready(WEBHOOK_SECRET=SECRET)), sign_in


def test_the_description_names_what_the_service_answers() -> None:
    assert sorted(_description()["paths"]) == [
        "/healthz",
        "/readyz",
        "/sessions/{session_id}/events",
        "/webhooks/messages",
    ]


@pytest.mark.parametrize("signed_in", [True, False])
@schema.parametrize()  # type: ignore[untyped-decorator]
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_whatever_is_asked_is_answered_as_described(
    case: Any, place: tuple[ServiceProcess, SignIn], *, signed_in: bool
) -> None:
    service, sign_in = place
    headers = {"authorization": f"Bearer {sign_in.token(ADA)}"} if signed_in else {}

    response = case.call(base_url=service.url, headers=headers)

    # Nobody works here, so that the service is not ready, and says so.
    if case.path != "/readyz":
        assert response.status_code < 500
        case.validate_response(response)
