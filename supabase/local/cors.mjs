// Any page may call the Data API; what it may do is decided by its key and its token.

const METHODS = "GET, HEAD, POST, PATCH, PUT, DELETE, OPTIONS";
const EXPOSED = "Content-Range, Content-Location, Location, Preference-Applied, Retry-After";

/** Returns whether a browser asks what it may send, without any key. */
export const isPreflight = (request) =>
  request.method === "OPTIONS" && request.headers.has("access-control-request-method");

/** Returns the response with the headers that let a browser read it. */
export function allowBrowsers(response, request) {
  const headers = new Headers(response.headers);
  headers.set("Access-Control-Allow-Origin", "*");
  headers.set("Access-Control-Expose-Headers", EXPOSED);
  if (isPreflight(request)) {
    const asked = request.headers.get("access-control-request-headers");
    headers.set("Access-Control-Allow-Methods", METHODS);
    headers.set("Access-Control-Allow-Headers", asked ?? "*");
    headers.set("Access-Control-Max-Age", "86400");
  }
  const { status, statusText } = response;
  return new Response(response.body, { status, statusText, headers });
}
