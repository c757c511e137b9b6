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
  ...strings,
};
const PICTURES = { archived: "archive", snoozed: "clock" };

/** Why a list with a filter is empty. */
export const explain = (filter) => [
  h("span", { class: "disc" }, icon(PICTURES[filter] ?? "bell")),
  h("strong", {}, words.emptyTitle[filter]),
  h("span", {}, words.emptyText[filter]),
];
