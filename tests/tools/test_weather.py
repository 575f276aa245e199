"""The weather, from a server that speaks as Open-Meteo does."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs

import pytest_asyncio

from backend.integrations.web.client import GuardedHttp
from backend.integrations.web.reach import reach_of
from backend.ports.clock import SystemClock
from backend.tools.builtin.weather import WeatherService, weather
from backend.tools.invocation import ToolOutcome
from backend.tools.registry import PythonTool
from tests.tools.calling import call
from tests.tools.web_server import WebServer

PLACES = {
    "results": [
        {
            "name": "Lisbon",
            "latitude": 38.71667,
            "longitude": -9.13333,
            "country": "Portugal",
            "admin1": "Lisbon",
        }
    ]
}
FORECAST = {
    "current": {
        "time": "2026-11-21T14:30",
        "temperature_2m": 22.0,
        "apparent_temperature": 21.4,
        "relative_humidity_2m": 61,
        "weather_code": 0,
        "wind_speed_10m": 11.2,
    },
    "daily": {
        "time": ["2026-11-21", "2026-11-22"],
        "weather_code": [3, 61],
        "temperature_2m_max": [22.4, 18.0],
        "temperature_2m_min": [14.1, None],
        "precipitation_probability_max": [5, 80],
    },
}


@pytest_asyncio.fixture
async def get_weather(server: WebServer) -> AsyncIterator[PythonTool]:
    """Yield the tool, which asks the server of this test."""
    entry = f"127.0.0.1:{server.port}"
    server.will("/v1/search", PLACES)
    server.will("/v1/forecast", FORECAST)
    async with GuardedHttp(reach_of([entry], [entry])) as http:
        yield weather(WeatherService(server.url, server.url, "k&1"), http)


async def ask(tool: PythonTool, **arguments: Any) -> ToolOutcome:
    return await call(tool, SystemClock(), **arguments)


async def test_the_weather_of_a_city_is_told(server: WebServer, get_weather: PythonTool) -> None:
    outcome = await ask(get_weather, location="Lisboa", unit="fahrenheit")
    told: Any = outcome.output
    assert told["place"] == "Lisbon, Portugal"
    assert told["now"]["temperature"] == 22.0
    assert told["now"]["sky"] == "clear sky"
    assert told["days"][1] == {
        "date": "2026-11-22",
        "sky": "rain",
        "highest": 18.0,
        "lowest": None,
        "rain_percent": 80,
    }
    places, forecast = (parse_qs(asked.target.partition("?")[2]) for asked in server.asked)
    assert (places["name"], places["apikey"]) == (["Lisboa"], ["k&1"])
    assert (forecast["latitude"], forecast["temperature_unit"]) == (["38.71667"], ["fahrenheit"])


async def test_a_name_stays_a_name_whatever_is_in_it(
    server: WebServer, get_weather: PythonTool
) -> None:
    await ask(get_weather, location="a&apikey=mine#../\r\nHost: evil/ü")
    asked = server.asked[0]
    assert asked.path == "/v1/search"
    assert parse_qs(asked.target.partition("?")[2])["name"] == ["a&apikey=mine#../\r\nHost: evil/ü"]
    assert asked.headers["host"] == f"127.0.0.1:{server.port}"


async def test_a_place_that_nobody_knows_is_told_to_the_model(
    server: WebServer, get_weather: PythonTool
) -> None:
    server.will("/v1/search", {"generationtime_ms": 0.5})
    outcome = await ask(get_weather, location="Nowhere")
    assert outcome.output == {
        "error": "tool_refused",
        "message": "There is no place of this name.",
    }


async def test_a_service_that_fails_is_asked_twice(
    server: WebServer, get_weather: PythonTool
) -> None:
    for status in ("503 Busy", "429 Slow down"):
        server.asked.clear()
        server.will("/v1/search", {}, status)
        outcome = await ask(get_weather, location="Lisboa")
        assert (outcome.output or {})["error"] == "tool_unavailable"  # type: ignore[index, call-overload]
        assert len(server.asked) == 2


async def test_an_answer_that_makes_no_sense_is_an_error(
    server: WebServer, get_weather: PythonTool
) -> None:
    for nonsense in (b"<html>", b"[1]", b'{"current": {"temperature_2m": "hot"}}', b"[" * 100_000):
        server.will("/v1/forecast", nonsense)
        assert (await ask(get_weather, location="Lisboa")).is_error
