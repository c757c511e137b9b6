// The page around the element: the number of unread items stands in the tab's title too.
import "./carillon-inbox.js";

const title = document.title;
addEventListener("carillon-counts", ({ detail: { unread } }) => {
  document.title = unread ? `(${unread > 99 ? "99+" : unread}) ${title}` : title;
});
