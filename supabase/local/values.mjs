// Values from PostgreSQL in the form in which PostgREST puts them into JSON.

import { randomUUID } from "node:crypto";

const TEXT_ARRAY = 1009;
// Drawn anew by each process, so that no caller's text begins with it.
const ENCODED = `${randomUUID()}:`;

const isoTimestamp = (text) =>
  text.replace(
    /^(\S+) (\S+?)([+-]\d\d)?(:\d\d)?$/,
    (_, date, time, hours, minutes) => `${date}T${time}${hours ? hours + (minutes ?? ":00") : ""}`,
  );

// A number that a double cannot hold keeps its digits as raw JSON.
function exactNumber(text) {
  const number = Number(text);
  if (!Number.isFinite(number)) return text;
  const digits = text.includes(".") ? text.replace(/\.?0+$/, "") : text;
  return String(number) === digits ? number : JSON.rawJSON(text);
}

const asIs = (value) => value;
const type = (oid, parse) => ({ to: oid, from: [oid], serialize: String, parse });

/** Returns a parameter that PostgreSQL takes as this JSON text, not as a string that holds it. */
export const encodedJson = (text) => ENCODED + text;

const json = (oid) => ({
  ...type(oid, (text) => JSON.parse(text)),
  serialize: (value) =>
    typeof value === "string" && value.startsWith(ENCODED)
      ? value.slice(ENCODED.length)
      : JSON.stringify(value),
});

/** Types for postgres.js, on top of what lite sets. */
export const types = {
  json: json(114),
  jsonb: json(3802),
  bigint: type(20, exactNumber),
  numeric: type(1700, exactNumber),
  timestamp: { ...type(1114, isoTimestamp), serialize: asIs },
  timestamptz: { ...type(1184, isoTimestamp), serialize: asIs },
  bytea: { ...type(17, asIs), serialize: asIs },
};

/** Returns the elements of a PostgreSQL array text, nested arrays as arrays, NULL as null. */
export function parseArray(text, parseElement = asIs) {
  let at = text.indexOf("{") + 1;
  const quoted = () => {
    let value = "";
    for (at++; text[at] !== '"'; at++) value += text[text[at] === "\\" ? ++at : at];
    at++;
    return parseElement(value);
  };
  const bare = () => {
    const start = at;
    while (text[at] !== "," && text[at] !== "}") at++;
    const value = text.slice(start, at);
    return value === "NULL" ? null : parseElement(value);
  };
  const elements = () => {
    const found = [];
    while (text[at] !== "}") {
      if (text[at] === "{") (at++, found.push(elements()));
      else found.push(text[at] === '"' ? quoted() : bare());
      if (text[at] === ",") at++;
    }
    at++;
    return found;
  };
  return elements();
}

/** Returns the text of a PostgreSQL array. */
export function formatArray(elements, formatElement = String) {
  const format = (element) => {
    if (element === null || element === undefined) return "NULL";
    if (Array.isArray(element)) return formatArray(element, formatElement);
    return `"${formatElement(element).replace(/[\\"]/g, "\\$&")}"`;
  };
  return `{${elements.map(format).join(",")}}`;
}

/**
 * Makes arrays of every type arrive as arrays; called again after a type was made.
 *
 * @param {{parsers: object, serializers: object}} options The options of a postgres.js client.
 * @param {{oid: number, array_oid: number}[]} arrays
 */
export function installArrays({ parsers, serializers }, arrays) {
  for (const { oid, array_oid } of arrays) {
    const serialize = (value) =>
      Array.isArray(value) ? formatArray(value, serializers[oid]) : String(value);
    // Without the mark `array`, by which the client would cut off the outer brace.
    parsers[array_oid] = (text) => parseArray(text, parsers[oid]);
    serializers[array_oid] = serialize;
  }
}
