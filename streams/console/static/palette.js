// Commands (⌘K, Ctrl+K): every page of the menu, every action that this page has a key for, and a search.
"use strict";
(() => {
  const dialog = document.getElementById("palette");
  const input = document.getElementById("palette-text");
  const list = document.getElementById("palette-list");
  if (!dialog) return;
  let shown = [];
  let chosen = 0;
  const words = (element) => (element.querySelector(":scope > span:not([id])") ?? element).textContent.trim() || element.getAttribute("aria-label") || element.title || "";
  const commands = () => {
    const found = [];
    for (const link of document.querySelectorAll("#menu a")) found.push({ text: words(link), key: `g ${link.dataset.key}`, run: () => link.click() });
    for (const target of document.querySelectorAll("main [data-press]")) {
      const text = words(target);
      if (text && target.offsetParent && !found.some((one) => one.text === text)) found.push({ text, key: target.dataset.press, run: () => target.click() });
    }
    for (const link of document.querySelectorAll(".who a, main .tabs a")) found.push({ text: link.getAttribute("aria-label") || words(link), key: "", run: () => link.click() });
    return found;
  };
  const choose = (number) => {
    chosen = Math.max(0, Math.min(shown.length - 1, number));
    [...list.children].forEach((item, place) => item.setAttribute("aria-selected", String(place === chosen)));
    const item = list.children[chosen];
    item?.scrollIntoView({ block: "nearest" });
    if (item) input.setAttribute("aria-activedescendant", item.id);
    else input.removeAttribute("aria-activedescendant");
  };
  const draw = () => {
    const text = input.value.trim();
    const parts = text.toLowerCase().split(/\s+/);
    shown = commands().filter((one) => parts.every((part) => one.text.toLowerCase().includes(part)));
    if (text) shown.push({ text: list.dataset.find.replace("{text}", text), key: "", run: () => { location.href = `/find?text=${encodeURIComponent(text)}`; } });
    list.replaceChildren(...shown.map((one, place) => {
      const item = document.createElement("li");
      item.id = `command-${place}`;
      item.setAttribute("role", "option");
      item.append(Object.assign(document.createElement("span"), { textContent: one.text }));
      if (one.key) item.append(Object.assign(document.createElement("kbd"), { textContent: one.key }));
      return item;
    }));
    choose(0);
  };
  const run = () => { const command = shown[chosen]; dialog.close(); command?.run(); };
  window.openPalette = () => { input.value = ""; draw(); dialog.showModal(); input.focus(); };
  input.addEventListener("input", draw);
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") choose(chosen + 1);
    else if (event.key === "ArrowUp") choose(chosen - 1);
    else if (event.key === "Enter") run();
    else return;
    event.preventDefault();
  });
  list.addEventListener("click", (event) => {
    const item = event.target.closest("li");
    if (item) { choose([...list.children].indexOf(item)); run(); }
  });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
})();
