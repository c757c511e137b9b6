// The words and pictures of <carillon-inbox>; those of modules that come later stand there.

export const strings = {
  title: "Notifications",
  bell: (count) => `Notifications${count ? `, ${count} new` : ""}`,
  all: "All",
  unread: "Unread",
  snoozed: "Snoozed",
  archived: "Archived",
  readAll: "Mark all as read",
  actions: "More actions",
  until: (moment) => `Until ${moment}`,
  views: "Views",
  categories: "Categories",
  days: { today: "Today", yesterday: "Yesterday", earlier: "Earlier" },
  errorTitle: "Notifications could not be loaded",
  retry: "Try again",
  offline: "Reconnecting…",
  unauthorized: "Your session has ended. Sign in again.",
  outdated: "There is a new version. Reload the page.",
  forbidden: "This site may not show notifications.",
  failed: "That did not work. Try again.",
  now: "now",
};

export const ICONS = {
  bell: "M6 9.5a6 6 0 0 1 12 0c0 3.9 1.2 5.6 2 6.5H4c.8-.9 2-2.6 2-6.5zM10 19.5a2.1 2.1 0 0 0 4 0",
  dots: "M5.5 12h.01M12 12h.01M18.5 12h.01",
};
