// Who asks: a project key, and perhaps a user's token signed by the issuer.

import { createHash, timingSafeEqual } from "node:crypto";
import { createRemoteJWKSet, errors, jwtVerify } from "jose";
import { failure } from "./errors.mjs";

const CLOCK_TOLERANCE_S = 30;

const digest = (text) => createHash("sha256").update(text).digest();
const equal = (left, right) => timingSafeEqual(digest(left), digest(right));

const refused = (response) => ({ refusal: response });
const noKey = () =>
  refused(Response.json({ message: "No API key found in request", hint: null }, { status: 401 }));
const wrongKey = () =>
  refused(Response.json({ message: "Invalid API key", hint: null }, { status: 401 }));
const rejected = (message, code = "PGRST301") =>
  refused(failure(401, { code, message }, { "WWW-Authenticate": "Bearer" }));

/** Tells who asks, and refuses whoever cannot show it. */
export class Gate {
  #keys;
  #issuer;
  #jwks;

  constructor({ publishable_key, secret_key, issuer_url, jwks_url }) {
    this.#keys = [
      [publishable_key, "anon"],
      [secret_key, "service_role"],
    ];
    this.#issuer = issuer_url;
    this.#jwks = createRemoteJWKSet(new URL(jwks_url), { timeoutDuration: 3000 });
  }

  /**
   * Returns `{caller: {role, claims}}`, or `{refusal: Response}`.
   *
   * @param {Request} request
   * @param {{keyIsOptional?: boolean}} options Storage serves public files without a key.
   */
  async identify(request, { keyIsOptional = false } = {}) {
    const key = request.headers.get("apikey") ?? new URL(request.url).searchParams.get("apikey");
    if (!key && !keyIsOptional) return noKey();
    const role = key ? this.#roleOf(key) : "anon";
    if (!role) return wrongKey();
    // A browser that holds a secret key has leaked it.
    const agent = request.headers.get("user-agent") ?? "";
    if (role === "service_role" && agent.includes("Mozilla/")) return wrongKey();
    const token = bearer(request);
    // Both official clients repeat the key as the bearer when no user is signed in.
    if (!token || (key && equal(token, key))) return { caller: { role, claims: { role } } };
    return this.#verify(token);
  }

  #roleOf(key) {
    return this.#keys.find(([known]) => equal(known, key))?.[1] ?? null;
  }

  async #verify(token) {
    try {
      const { payload, protectedHeader } = await jwtVerify(token, this.#jwks, {
        algorithms: ["RS256"],
        issuer: this.#issuer,
        requiredClaims: ["exp"],
        clockTolerance: CLOCK_TOLERANCE_S,
      });
      const role = payload.role ?? "anon";
      if (!protectedHeader.kid || typeof role !== "string") return rejected("JWT is not usable");
      return { caller: { role, claims: payload } };
    } catch (error) {
      if (error instanceof errors.JWTExpired) return rejected("JWT expired", "PGRST303");
      const isOurs = error instanceof errors.JOSEError && !(error instanceof errors.JWKSTimeout);
      if (isOurs) return rejected("No suitable key or wrong key type");
      const message = "The token's issuer cannot be reached";
      return refused(failure(503, { code: "PGRST301", message }));
    }
  }
}

function bearer(request) {
  const [scheme, token] = (request.headers.get("authorization") ?? "").split(" ");
  return scheme.toLowerCase() === "bearer" ? token : null;
}
