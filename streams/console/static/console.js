// Keys, the phone's menu, dialogs, and the message of what was done. Pages work without it, but for live updates.
"use strict";
(() => {
  const rows = () => [...document.querySelectorAll("table.rows tbody tr")];
  const at = () => rows().findIndex((row) => row.classList.contains("at"));
  const name = (row) => row.id || row.querySelector("a[href]")?.getAttribute("href") || "";
  let chosen = "";  // name of the row that the keys are at: it stays chosen when the list is loaded again
  const mark = (row) => { rows().forEach((other) => other.classList.toggle("at", other === row)); chosen = row ? name(row) : ""; };
  const move = (step) => {
    const all = rows();
    if (!all.length) return;
    const row = all[Math.min(all.length - 1, Math.max(0, at() + step))];
    mark(row);
    row.scrollIntoView({ block: "nearest" });
    row.querySelector("a, button, input")?.focus({ preventScroll: true });
  };
  const showKeys = () => {
    const list = document.querySelector("#page-keys dl");
    const known = new Map();
    for (const target of document.querySelectorAll("main [data-press]")) {
      if (!known.has(target.dataset.press)) known.set(target.dataset.press, target.getAttribute("aria-label") || target.textContent.trim());
    }
    list.replaceChildren(...[...known].flatMap(([key, text]) => {
      const term = document.createElement("dt");
      term.append(Object.assign(document.createElement("kbd"), { textContent: key }));
      return [term, Object.assign(document.createElement("dd"), { textContent: text })];
    }));
    document.getElementById("page-keys").hidden = !known.size;
    document.getElementById("keys").showModal();
  };
  let going = false;
  document.addEventListener("keydown", (event) => {
    const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName) && !/^(checkbox|radio|submit|button)$/.test(event.target.type);
    if ((event.metaKey || event.ctrlKey) && event.key === "k") {
      event.preventDefault();
      if (!document.querySelector("dialog[open]")) window.openPalette?.();
      return;
    }
    if (event.key === "Escape" && typing) event.target.blur();
    if (typing || event.isComposing || event.metaKey || event.ctrlKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (going) {
      going = false;
      document.querySelector(`nav a[data-key="${CSS.escape(event.key)}"]`)?.click();
      event.preventDefault();
      return;
    }
    if (event.key === "/") document.getElementById("find")?.focus();
    else if (event.key === "j") move(1);
    else if (event.key === "k") move(-1);
    else if (event.key === "g") { going = true; setTimeout(() => { going = false; }, 1500); }
    else if (event.key === "?") showKeys();
    else {
      // A page's own keys: an element with data-press="a" is clicked by the key a, in the row that is chosen if it is in one.
      const key = `[data-press="${CSS.escape(event.key)}"]`;
      const target = rows()[at()]?.querySelector(key) ?? document.querySelector(key);
      if (!target) return;
      target.click();
      if (/^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)) target.focus();
    }
    event.preventDefault();
  });
  document.addEventListener("focusin", (event) => {
    const row = event.target.closest("table.rows tbody tr");
    if (row && !row.classList.contains("at")) mark(row);
  });
  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-dialog]");
    if (opener?.dataset.dialog === "keys") showKeys();
    else if (opener) document.getElementById(opener.dataset.dialog)?.showModal();
    if (event.target.closest("[data-palette]")) window.openPalette?.();
    const burger = event.target.closest(".burger");
    if (burger) burger.setAttribute("aria-expanded", String(document.getElementById("menu").classList.toggle("open")));
    const copy = event.target.closest("[data-copy]");
    if (copy) navigator.clipboard?.writeText(document.querySelector(copy.dataset.copy).textContent);
  });
  document.addEventListener("submit", (event) => {
    const question = event.submitter?.dataset.confirm;
    if (question && !window.confirm(question)) event.preventDefault();
  });
  // A part that was loaded again keeps the chosen row; one with data-announce is read to people who do not see it.
  document.addEventListener("htmx:after:swap", (event) => {
    if (chosen) { const row = rows().find((other) => name(other) === chosen); row?.classList.add("at"); }
    const part = event.target.closest?.("[data-announce]");
    if (part) document.getElementById("live").textContent = part.dataset.announce || part.textContent.trim();
  });
  const done = document.cookie.split("; ").find((one) => one.startsWith("done="));
  if (done) {
    document.getElementById("done").textContent = decodeURIComponent(done.slice(5).replace(/^"|"$/g, ""));
    document.cookie = "done=; max-age=0; path=/";
  }
})();
