// What <carillon-inbox> says when it has no rows to show.

import { h, icon } from "./carillon-dom.js";
import "./carillon-icons.js";
import { strings } from "./carillon-strings.js";

const words = {
  emptyTitle: { all: "You’re all caught up", unread: "Nothing unread", snoozed: "Nothing is asleep", archived: "The archive is empty" },
  emptyText: {
    all: "New notifications appear here the moment they are sent.",
    unread: "Everything here has been read.",
    snoozed: "What you snooze waits here and comes back at its time.",
    archived: "What you archive is kept here.",
  },
  errorText: "Check your connection.",
  retry: "Try again",
  ...strings,
};
const PICTURES = { archived: "archive", snoozed: "clock" };

/** Why a list in a state ("ready" or "error") with a filter is empty. `retry()` reads it again. */
export function explain(state, filter, retry) {
  const failed = state === "error";
  return [
    h("span", { class: "disc" }, icon(failed ? "alert" : PICTURES[filter] ?? "bell")),
    h("strong", {}, failed ? words.errorTitle : words.emptyTitle[filter]),
    h("span", {}, failed ? words.errorText : words.emptyText[filter]),
    failed ? h("button", { class: "retry", type: "button", onclick: retry }, words.retry) : "",
  ];
}
