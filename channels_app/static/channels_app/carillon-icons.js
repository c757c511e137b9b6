// The pictures of what comes later in <carillon-inbox>.

import { ICONS } from "./carillon-strings.js";

Object.assign(ICONS, {
  check: "M5 12.5l4.5 4.5L19 7.5",
  archive: "M4 5h16v4H4zM5.5 9v10h13V9M10 13h4",
  restore: "M4 5h16v4H4zM5.5 9v10h13V9M12 17v-5M9.5 14l2.5-2.5 2.5 2.5",
  dot: "M12 12h.01",
  clock: "M12 7.5V12l3 2M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17",
  close: "M6.5 6.5l11 11M17.5 6.5l-11 11",
  alert: "M12 8v5M12 16.5v.01M12 3.5 2.5 20h19z",
});
