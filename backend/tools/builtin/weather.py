"""The weather, by Open-Meteo.

Source:
    https://open-meteo.com/en/docs and https://open-meteo.com/en/docs/geocoding-api; the codes of
    the sky are WMO table 4677 as that page shortens it.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlencode

from pydantic import BaseModel, Field, ValidationError

from backend.domain.json_values import JsonObject
from backend.errors import ToolRefused, ToolUnavailable
from backend.ports.http import HttpAnswer, HttpClient, HttpRequest
from backend.tools.registry import PythonTool, tool

Place = Annotated[str, Field(min_length=2, max_length=100)]
Unit = Literal["celsius", "fahrenheit"]
M = TypeVar("M", bound=BaseModel)
_TIMEOUT_S = 10.0
_MAX_BYTES = 200_000
_NOW = "temperature_2m,apparent_temperature,relative_humidity_2m,weather_code,wind_speed_10m"
_DAILY = "weather_code,temperature_2m_max,temperature_2m_min,precipitation_probability_max"
_SKIES = {
    (0,): "clear sky",
    (1,): "mainly clear",
    (2,): "partly cloudy",
    (3,): "overcast",
    (45, 48): "fog",
    (51, 53, 55): "drizzle",
    (56, 57): "freezing drizzle",
    (61, 63, 65): "rain",
    (66, 67): "freezing rain",
    (71, 73, 75): "snow",
    (77,): "snow grains",
    (80, 81, 82): "rain showers",
    (85, 86): "snow showers",
    (95,): "thunderstorm",
    (96, 99): "thunderstorm with hail",
}
_SKY = {code: words for codes, words in _SKIES.items() for code in codes}


@dataclass(frozen=True, slots=True)
class WeatherService:
    """Where Open-Meteo is asked."""

    url: str
    """Of the forecasts, without a path."""
    places_url: str
    """Of the coordinates of places, without a path."""
    key: str | None = None
    """Of a customer."""


class _Found(BaseModel):
    name: str
    latitude: float
    longitude: float
    country: str = ""
    admin1: str = ""


class _Places(BaseModel):
    results: list[_Found] = Field(default_factory=list)


class _Now(BaseModel):
    time: str
    temperature_2m: float
    apparent_temperature: float | None = None
    relative_humidity_2m: float | None = None
    weather_code: int | None = None
    wind_speed_10m: float | None = None


class _Days(BaseModel):
    time: list[str]
    weather_code: list[int | None]
    temperature_2m_max: list[float | None]
    temperature_2m_min: list[float | None]
    precipitation_probability_max: list[float | None]


class _Forecast(BaseModel):
    current: _Now
    daily: _Days | None = None


def weather(service: WeatherService, http: HttpClient) -> PythonTool:
    """Return `get_weather`."""

    @tool(open_to_users=True, timeout_s=2.5 * _TIMEOUT_S, attempts=2, fresh_s=600)
    async def get_weather(location: Place, unit: Unit = "celsius") -> JsonObject:
        """Retrieve the weather at a place, now and in the next days.

        Args:
            location: City name, in any language.
            unit: Of the temperatures.
        """
        place = await _place(service, http, location)
        forecast = await _forecast(service, http, place, unit)
        where = (it for it in (place.name, place.admin1, place.country) if it)
        return {"place": ", ".join(dict.fromkeys(where)), "unit": unit, **_told(forecast)}

    return get_weather


async def _place(service: WeatherService, http: HttpClient, location: str) -> _Found:
    asked = {"name": location, "count": "1", "format": "json"}
    answer = await _get(http, f"{service.places_url}/v1/search", asked, service.key)
    found = _read(_Places, answer).results
    if not found:
        raise ToolRefused("There is no place of this name.")
    return found[0]


async def _forecast(
    service: WeatherService, http: HttpClient, place: _Found, unit: Unit
) -> _Forecast:
    asked = {
        "latitude": str(place.latitude),
        "longitude": str(place.longitude),
        "current": _NOW,
        "daily": _DAILY,
        "forecast_days": "3",
        "timezone": "auto",
        "temperature_unit": unit,
    }
    answer = await _get(http, f"{service.url}/v1/forecast", asked, service.key)
    return _read(_Forecast, answer)


async def _get(http: HttpClient, url: str, asked: dict[str, str], key: str | None) -> HttpAnswer:
    known = {"apikey": key} if key else {}
    query = urlencode({**asked, **known})
    request = HttpRequest("GET", f"{url}?{query}", max_bytes=_MAX_BYTES, timeout_s=_TIMEOUT_S)
    answer = await http.send(request)
    if answer.status == 429 or answer.status >= 500:  # noqa: PLR2004 - of HTTP
        raise ToolUnavailable(f"The weather service answers with status {answer.status}.")
    if answer.status != 200:  # noqa: PLR2004
        raise ToolRefused(f"The weather service refuses with status {answer.status}.")
    return answer


def _read(kind: type[M], answer: HttpAnswer) -> M:
    try:
        return kind.model_validate_json(answer.body)
    except ValidationError:
        raise ToolUnavailable("The weather service's answer cannot be read.") from None


def _told(forecast: _Forecast) -> dict[str, Any]:
    now, days = forecast.current, forecast.daily
    told: dict[str, Any] = {
        "now": {
            "time": now.time,
            "temperature": now.temperature_2m,
            "feels_like": now.apparent_temperature,
            "humidity_percent": now.relative_humidity_2m,
            "wind_km_h": now.wind_speed_10m,
            "sky": _SKY.get(now.weather_code, "unknown") if now.weather_code is not None else None,
        },
        "source": "Open-Meteo.com",
    }
    if days:
        columns = (days.time, days.weather_code, days.temperature_2m_max, days.temperature_2m_min)
        rain = days.precipitation_probability_max
        told["days"] = [
            {
                "date": date,
                "sky": _SKY.get(code, "unknown") if code is not None else None,
                "highest": highest,
                "lowest": lowest,
                "rain_percent": chance,
            }
            for date, code, highest, lowest, chance in zip(*columns, rain, strict=False)
        ]
    return told
