// The live tail: records that come are put on top; the page keeps the last 200. Paused, it closes the connection.
"use strict";
(() => {
  const tail = document.getElementById("tail");
  const state = document.getElementById("tail-state");
  const button = document.getElementById("tail-pause");
  const MOST = 200;
  let source = null;
  let read = 0;
  let leftOut = 0;
  const say = (text) => { state.textContent = text; };
  const start = () => {
    button.textContent = button.dataset.stop;
    source = new EventSource(tail.dataset.events);
    source.addEventListener("records", (event) => {
      document.getElementById("tail-empty")?.remove();
      // The server made this part of the page from a template that escapes every value.
      tail.insertAdjacentHTML("afterbegin", event.data);
      while (tail.children.length > MOST) tail.lastElementChild.remove();
    });
    source.addEventListener("turn", (event) => {
      const turn = JSON.parse(event.data);
      read += turn.read;
      leftOut += turn.left_out;
      say(`${state.dataset.live} · ${state.dataset.read} ${read}` + (leftOut ? ` · ${state.dataset.left} ${leftOut}` : ""));
    });
    source.addEventListener("signed-out", () => location.reload());
    source.addEventListener("failed", (event) => { say(event.data); stop(); });
  };
  const stop = () => {
    source?.close();
    source = null;
    button.textContent = button.dataset.go;
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    if (source) { stop(); say(state.dataset.paused); } else start();
  });
  window.addEventListener("pagehide", stop);
  start();
})();
