// What a person can do with the items of a client; each throws what the client's `call` throws when it fails.

import { serverNow } from "./carillon-client.js";

export const unread = (client, item) => client.act("unread", item, { read_at: null });
export const archive = (client, item) => client.act("archive", item, { archived_at: serverNow().toISOString() });
export const unarchive = (client, item) => client.act("unarchive", item, { archived_at: null });

/** Hide an item until a moment (a Date); null shows it again. */
export function snooze(client, item, moment) {
  const until = moment?.toISOString() ?? null;
  return client.act("snooze", item, { snoozed_until: until }, { until });
}

/** Mark everything as read, or all of a category. */
export async function readAll(client, category = "") {
  let answer;
  do answer = await client.call("POST", "read-all/", category ? { category } : undefined);
  while (answer.more);
  if (client.status !== "online") client.resync();
}
