// Lag and throughput as a chart; a line marks each event of the list below it.
"use strict";
(() => {
  const place = document.getElementById("pace");
  if (!place || !window.uPlot) return;
  const { rows, moments } = JSON.parse(place.dataset.chart);
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const kinds = { alert: "--bad", worker: "--acc", schema: "--warn", pause: "--warn", source: "--warn", person: "--ok" };
  const axis = { stroke: () => colour("--dim"), grid: { stroke: () => colour("--line"), width: 1 }, ticks: { stroke: () => colour("--line") } };
  const drawMarks = (plot) => {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.lineWidth = 2;
    for (const [at, kind] of moments) {
      const x = Math.round(plot.valToPos(at, "x", true));
      if (x < bbox.left || x > bbox.left + bbox.width) continue;
      ctx.strokeStyle = colour(kinds[kind] ?? "--dim");
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
    }
    ctx.restore();
  };
  const size = () => ({ width: Math.max(280, place.clientWidth), height: 220 });
  const plot = new window.uPlot({
    ...size(),
    cursor: { drag: { x: true, y: false } },
    scales: { lag: { range: (_, low, high) => [0, Math.max(10, high)] }, y: { range: (_, low, high) => [0, Math.max(1, high)] } },
    axes: [{ ...axis }, { ...axis, label: place.dataset.rate }, { ...axis, scale: "lag", side: 1, label: place.dataset.lag, grid: { show: false } }],
    series: [
      {},
      { label: place.dataset.rate, stroke: () => colour("--acc"), width: 2 },
      { label: place.dataset.lag, scale: "lag", stroke: () => colour("--warn"), width: 2, dash: [6, 4] },
      { label: place.dataset.p99, scale: "p99", stroke: () => colour("--ok"), width: 1, show: false },
    ],
    hooks: { draw: [drawMarks] },
  }, rows, place);
  window.addEventListener("resize", () => plot.setSize(size()));
})();
