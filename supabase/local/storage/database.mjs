// Storage's transactions: as the caller, whom the policies bind, or as the service.

import { BECOME_CALLER, sessionSettings } from "../session.mjs";
import { translated } from "./failures.mjs";

const SERVICE = { role: "service_role", claims: { role: "service_role" } };

/** Returns functions that run `work(sql)` in a transaction. */
export function transactions(connection, request, caller) {
  const { pathname } = new URL(request.url);
  const context = {
    method: "POST",
    path: pathname,
    headers: Object.fromEntries(request.headers),
  };
  const as = async (who, operation, work) => {
    const extra = {
      "storage.operation": `storage.${operation}`,
      // Whose bytes go as well: the table refuses all other deletions.
      "storage.allow_delete_query": "true",
    };
    const settings = { ...context, ...who };
    try {
      return await connection.driver.begin(async (sql) => {
        const { roleSettings } = connection.catalogue;
        await sql.unsafe(BECOME_CALLER, [sessionSettings(settings, roleSettings, extra)]);
        return work(sql);
      });
    } catch (error) {
      throw translated(error);
    }
  };
  return {
    asCaller: (operation, work) => as(caller, operation, work),
    asService: (operation, work) => as(SERVICE, operation, work),
  };
}
