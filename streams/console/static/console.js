// Keys, the phone's menu, dialogs, and the message of what was done. Pages work without it, but for live updates.
"use strict";
(() => {
  const rows = () => [...document.querySelectorAll("table.rows tbody tr")];
  const at = () => rows().findIndex((row) => row.classList.contains("at"));
  const move = (step) => {
    const all = rows();
    if (!all.length) return;
    const next = Math.min(all.length - 1, Math.max(0, at() + step));
    all.forEach((row, number) => row.classList.toggle("at", number === next));
    all[next].scrollIntoView({ block: "nearest" });
    all[next].querySelector("a, button, input")?.focus({ preventScroll: true });
  };
  let going = false;
  document.addEventListener("keydown", (event) => {
    const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName) && !/^(checkbox|radio)$/.test(event.target.type);
    if ((event.metaKey || event.ctrlKey) && event.key === "k") {
      event.preventDefault();
      document.getElementById("find")?.focus();
      return;
    }
    if (event.key === "Escape" && typing) event.target.blur();
    if (typing || event.metaKey || event.ctrlKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (going) {
      going = false;
      document.querySelector(`nav a[data-key="${CSS.escape(event.key)}"]`)?.click();
      return;
    }
    if (event.key === "/") document.getElementById("find")?.focus();
    else if (event.key === "j") move(1);
    else if (event.key === "k") move(-1);
    else if (event.key === "g") { going = true; setTimeout(() => { going = false; }, 1500); }
    else if (event.key === "?") document.getElementById("keys")?.showModal();
    else {
      // A page's own keys: an element with data-press="a" is clicked by the key a, in the row that is chosen if it is in one.
      const chosen = rows()[at()];
      const target = (chosen ?? document).querySelector(`[data-press="${CSS.escape(event.key)}"]`) ?? document.querySelector(`[data-press="${CSS.escape(event.key)}"]`);
      if (!target) return;
      target.click();
    }
    event.preventDefault();
  });
  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-dialog]");
    if (opener) document.getElementById(opener.dataset.dialog)?.showModal();
    const burger = event.target.closest(".burger");
    if (burger) burger.setAttribute("aria-expanded", String(document.getElementById("menu").classList.toggle("open")));
    const copy = event.target.closest("[data-copy]");
    if (copy) navigator.clipboard?.writeText(document.querySelector(copy.dataset.copy).textContent);
  });
  document.addEventListener("submit", (event) => {
    const question = event.submitter?.dataset.confirm;
    if (question && !window.confirm(question)) event.preventDefault();
  });
  const done = document.cookie.split("; ").find((one) => one.startsWith("done="));
  if (done) {
    document.getElementById("done").textContent = decodeURIComponent(done.slice(5).replace(/^"|"$/g, ""));
    document.cookie = "done=; max-age=0; path=/";
  }
})();
