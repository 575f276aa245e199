// Signed URLs: whoever holds one may do the one thing that it names, until it expires.

import { SignJWT, jwtVerify } from "jose";
import { invalidSignature, invalidToken } from "./failures.mjs";

const UPLOAD_S = 7200;

/** Signs and checks URLs with a secret of the project. */
export class Signatures {
  #secret;

  constructor(secret) {
    this.#secret = new TextEncoder().encode(secret);
  }

  /** Returns the path of a URL that downloads the object, which the official clients encode. */
  async download(bucket, name, expiresIn) {
    const token = await this.#sign({ bucket, name, intent: "download" }, expiresIn);
    return `/object/sign/${bucket}/${name}?token=${token}`;
  }

  /** Returns `{url, token}` of an upload in the owner's name. */
  async upload(bucket, name, owner, upsert) {
    const token = await this.#sign({ bucket, name, intent: "upload", owner, upsert }, UPLOAD_S);
    return { url: `/object/upload/sign/${bucket}/${name}?token=${token}`, token };
  }

  /** Returns what the token allows, if it is ours and allows just this. */
  async verify(token, expected) {
    const { payload } = await jwtVerify(token ?? "", this.#secret, {
      algorithms: ["HS256"],
      requiredClaims: ["exp"],
    }).catch(() => {
      throw invalidToken();
    });
    const matches = Object.entries(expected).every(([key, value]) => payload[key] === value);
    if (!matches) throw invalidSignature();
    return payload;
  }

  #sign(payload, expiresIn) {
    return new SignJWT(payload)
      .setProtectedHeader({ alg: "HS256", typ: "JWT" })
      .setIssuedAt()
      .setExpirationTime(Math.floor(Date.now() / 1000) + expiresIn)
      .sign(this.#secret);
  }
}
