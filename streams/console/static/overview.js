// The picture lives: readings come as server-sent events while the page is in sight. Texts are set, nothing is drawn again.
"use strict";
(() => {
  const live = document.getElementById("live");
  if (!live) return;
  const words = live.dataset;
  const whole = new Intl.NumberFormat(words.language, { maximumFractionDigits: 0 });
  const fine = new Intl.NumberFormat(words.language, { maximumFractionDigits: 1 });
  const rate = (value) => (value === null || value === undefined ? "–" : value < 10 ? fine.format(value) : whole.format(value));
  const duration = (seconds) => {
    if (seconds === null || seconds === undefined) return "–";
    if (seconds < 1) return `${whole.format(seconds * 1000)} ms`;
    if (seconds < 60) return `${fine.format(seconds)} ${words.s}`;
    if (seconds < 3600) return `${Math.floor(seconds / 60)} ${words.min}`;
    if (seconds < 86400) return `${Math.floor(seconds / 3600)} ${words.h}`;
    return `${Math.floor(seconds / 86400)} ${words.d}`;
  };
  const set = (key, text) => {
    const element = document.querySelector(`[data-live="${CSS.escape(key)}"]`);
    if (element && element.textContent !== text) element.textContent = text;
  };
  const mark = (key, state, flowing, perSecond) => {
    document.querySelectorAll(`[data-node="${CSS.escape(key)}"]`).forEach((node) => {
      node.classList.remove("ok", "warn", "bad", "off");
      node.classList.add(state);
      node.classList.toggle("flowing", flowing > 0);
      node.classList.toggle("slow", perSecond < 20);
    });
  };
  let digest = null;
  let heard = 0;
  const show = (now) => {
    heard = Date.now();
    live.textContent = "";
    document.querySelector(".picture svg").classList.remove("lost");
    for (const system of now.systems) {
      const key = `source:${system.name}`;
      set(`${key}.rate`, rate(system.rate));
      set(`${key}.today`, whole.format(system.today));
      set(`${key}.quiet`, duration(system.quiet_s));
      set(`${key}.dead`, system.dead ? whole.format(system.dead) : "");
      document.querySelectorAll(`[data-node="${CSS.escape(key)}"] .when-dead`).forEach((word) => word.classList.toggle("none", !system.dead));
      mark(key, system.state, system.rate ?? 0, system.rate ?? 0);
    }
    const workers = now.workers;
    set("assemble.rate", rate(workers.rate));
    set("workers.running", whole.format(workers.running));
    set("workers.lag", whole.format(workers.lag));
    set("workers.p50", workers.p50_ms === null ? "–" : duration(workers.p50_ms / 1000));
    set("workers.p99", workers.p99_ms === null ? "–" : duration(workers.p99_ms / 1000));
    mark("workers", workers.state, 0, 0);
    mark("assemble", workers.state, workers.rate ?? 0, workers.rate ?? 0);
    mark("hub", now.hub ? "ok" : "bad", 0, 0);
    for (const target of now.targets) {
      const key = `target:${target.name}`;
      set(`${key}.rate`, rate(target.per_minute));
      set(`${key}.way`, whole.format(target.on_the_way));
      set(`${key}.approvals`, whole.format(target.approvals));
      mark(key, target.state, target.per_minute, target.per_minute / 60);
    }
    const quiet = now.systems.map((system) => system.quiet_s).filter((seconds) => seconds !== null);
    if (quiet.length) set("last", duration(Math.min(...quiet)));
    // Sections of sentences come from the server, when what they say has changed.
    if (digest !== null && digest !== now.digest) ["health", "needs"].forEach((id) => window.htmx?.trigger(`#${id}`, "refresh"));
    digest = now.digest;
  };
  let source = null;
  const open = () => {
    if (source) return;
    source = new EventSource(words.events);
    source.onmessage = (event) => show(JSON.parse(event.data));
    source.addEventListener("signed-out", () => location.reload());
    heard = Date.now();
  };
  const close = () => { source?.close(); source = null; };
  // A page that nobody sees costs the hub nothing.
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  window.addEventListener("pagehide", close);
  setInterval(() => {
    if (document.hidden || Date.now() - heard < 9000) return;
    live.textContent = words.lost;
    document.querySelector(".picture svg").classList.add("lost");
    // A browser gives up for good on an answer that is no stream, such as a proxy's error page.
    if (source?.readyState === EventSource.CLOSED) {
      close();
      open();
      fetch("/api/v1/me").then((answer) => answer.status === 401 && location.reload(), () => {});
    }
  }, 3000);
  if (!document.hidden) open();
})();
