// Points at what the step of a guided tour is about.
"use strict";
(() => {
  const target = document.querySelector(document.getElementById("tour")?.dataset.target || "main h1");
  target?.classList.add("toured");
  if (target?.matches("details")) target.open = true;
  target?.setAttribute("aria-describedby", "tour-text");
  target?.scrollIntoView({ block: "center" });
})();
