// Errors in Storage's form: nearly always HTTP 400, with the real status inside the body.

/** A refusal that reaches the client as Storage words it. */
export class StorageFailure extends Error {
  constructor(statusCode, code, error, message) {
    super(message);
    this.body = { statusCode: String(statusCode), code, error, message };
    this.status = 400;
  }

  toResponse() {
    return Response.json(this.body, { status: this.status });
  }
}

export const noBucket = () =>
  new StorageFailure(404, "NoSuchBucket", "Bucket not found", "Bucket not found");
export const noObject = () => new StorageFailure(404, "NoSuchKey", "not_found", "Object not found");
export const duplicate = () =>
  new StorageFailure(409, "ResourceAlreadyExists", "Duplicate", "The resource already exists");
export const denied = () =>
  new StorageFailure(
    403,
    "AccessDenied",
    "Unauthorized",
    "new row violates row-level security policy",
  );
export const tooLarge = () =>
  new StorageFailure(
    413,
    "EntityTooLarge",
    "Payload too large",
    "The object exceeded the maximum allowed size",
  );
export const invalidKey = (key) =>
  new StorageFailure(400, "InvalidKey", "InvalidKey", `Invalid key: ${key}`);
export const invalidRequest = () =>
  new StorageFailure(400, "InvalidRequest", "Bad Request", "The request cannot be understood");
export const invalidToken = () =>
  new StorageFailure(400, "InvalidJWT", "InvalidJWT", "The token is invalid or has expired");
export const invalidSignature = () =>
  new StorageFailure(400, "InvalidSignature", "InvalidSignature", "Invalid signature");
export const invalidMimeType = (type) =>
  new StorageFailure(
    415,
    "InvalidMimeType",
    "invalid_mime_type",
    `mime type ${type} is not supported`,
  );
export const notEmpty = () =>
  new StorageFailure(
    409,
    "BucketNotEmpty",
    "InvalidRequest",
    "The bucket you tried to delete is not empty",
  );

const BY_SQLSTATE = {
  42501: denied,
  23505: duplicate,
  23503: noBucket,
  "22P02": invalidRequest,
  22021: invalidRequest,
};

/** Returns the refusal that a database error stands for, or the error itself. */
export const translated = (error) => BY_SQLSTATE[error?.code]?.() ?? error;
