// Redraws the charts of this page: by step, tokens, time or FLOPs, on linear or logarithmic axes, and with the
// values under the pointer. The scale and the ticks are those of charts.py.
(() => {
  const W = 400, H = 230, LEFT = 52, RIGHT = 10, TOP = 8, BOTTOM = 24;
  const LABELS = { step: "step", tokens: "tokens", hours: "hours in steps", flops: "FLOPs" };
  const axes = JSON.parse(document.getElementById("axes").textContent); // for each run: step, tokens, ...
  const controls = document.getElementById("controls");
  const state = { x: "step", logX: false, logY: false };

  // A step of a run in the unit of the x axis, between the two nearest that are known.
  function along(run, step) {
    const from = axes[run].step, to = axes[run][state.x];
    let high = from.findIndex((known) => known >= step);
    if (high < 0) high = from.length - 1;
    const low = Math.max(0, high - 1), gap = from[high] - from[low];
    const share = gap ? (step - from[low]) / gap : 1;
    return to[low] + share * (to[high] - to[low]);
  }

  function short(value) {
    for (const [unit, letter] of [[1e12, "T"], [1e9, "B"], [1e6, "M"], [1e3, "k"]])
      if (Math.abs(value) >= unit)
        return value >= 1e15 ? value.toExponential(1).replace("+", "") : +(value / unit).toPrecision(4) + letter;
    return value && Math.abs(value) < 1e-3 ? value.toExponential().replace(/^(\d\.?\d{0,3})\d*/, "$1")
      : String(+value.toPrecision(4));
  }

  function linearTicks(low, high) {
    if (high <= low) [low, high] = [low - Math.abs(low) / 2 || -1, high + Math.abs(high) / 2 || 1];
    const rough = (high - low) / 5, power = 10 ** Math.floor(Math.log10(rough));
    const step = power * [1, 2, 2.5, 5, 10].find((unit) => power * unit >= rough * 0.999);
    const ticks = [];
    for (let i = Math.floor(low / step + 1e-9); i <= Math.ceil(high / step - 1e-9); i++) ticks.push(step * i);
    return ticks;
  }

  function logTicks(low, high) {
    const first = Math.floor(Math.log10(low)), last = Math.ceil(Math.log10(high));
    const units = last - first > 4 ? [1] : last - first > 1 ? [1, 2, 5] : [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8];
    const all = [];
    for (let power = first; power <= last; power++) for (const unit of units) all.push(unit * 10 ** power);
    const below = all.filter((tick) => tick <= low * 1.0001).length - 1;
    const above = all.findIndex((tick) => tick >= high * 0.9999);
    return all.slice(Math.max(0, below), above < 0 ? undefined : above + 1);
  }

  function scale(ticks, isLog, from, to) {
    const unit = isLog ? Math.log10 : (value) => value;
    const low = unit(ticks[0]), high = unit(ticks[ticks.length - 1]);
    return (value) => from + (high > low ? (unit(value) - low) / (high - low) : 0.5) * (to - from);
  }

  function draw(chart) {
    const points = chart.data.lines.map((line) => line.xs.map((step, i) => {
      const x = along(line.run, step), y = line.ys[i];
      return y === null || (state.logY && y <= 0) || (state.logX && x <= 0) ? null : [x, y];
    }));
    const known = points.flat().filter(Boolean);
    if (!known.length) return;
    const xs = known.map((p) => p[0]), ys = known.map((p) => p[1]);
    let lowX = Math.min(...xs);
    const highX = Math.max(...xs), highY = Math.max(...ys);
    if (!state.logX && lowX > 0 && lowX < highX / 20) lowX = 0;
    const lowY = chart.data.zero && !state.logY ? 0 : Math.min(...ys);
    const ticksY = (state.logY ? logTicks : linearTicks)(lowY, highY);
    const toX = scale([lowX, highX], state.logX, LEFT, W - RIGHT);
    const toY = scale(ticksY, state.logY, H - BOTTOM, TOP);
    let svg = "";
    for (const tick of ticksY) {
      const y = toY(tick).toFixed(1);
      svg += `<path class="grid" d="M${LEFT} ${y}H${W - RIGHT}"/>`;
      svg += `<text x="${LEFT - 6}" y="${+y + 4}" text-anchor="end">${short(tick)}</text>`;
    }
    const inside = (state.logX ? logTicks : linearTicks)(lowX, highX).filter((t) => t >= lowX && t <= highX);
    let lastX = -Infinity;
    for (const tick of inside) {
      const x = toX(tick), anchor = x > W - RIGHT - 14 ? "end" : "middle";
      if (x - lastX < 44) continue; // the next number would touch this one
      lastX = x;
      svg += `<text x="${x.toFixed(1)}" y="${H - 8}" text-anchor="${anchor}">${short(tick)}</text>`;
    }
    chart.places = points.map((line) => line.map((p) => p && [toX(p[0]), toY(p[1]), p[0], p[1]]));
    chart.data.lines.forEach((line, i) => {
      let path = "", pen = "M";
      for (const p of chart.places[i]) {
        if (p) path += `${pen}${p[0].toFixed(1)} ${p[1].toFixed(1)}`;
        pen = p ? "L" : "M";
      }
      const dash = line.dashed ? ' stroke-dasharray="5 4"' : "";
      svg += `<path class="line" style="stroke:${line.colour}"${dash} d="${path}"/>`;
      if (line.dots) for (const p of chart.places[i].filter(Boolean))
        svg += `<circle cx="${p[0]}" cy="${p[1]}" r="2.6" style="fill:${line.colour}"/>`;
    });
    chart.svg.innerHTML = svg + '<path class="cursor"/>';
    chart.label.textContent = "by " + LABELS[state.x];
  }

  function point(chart, event) {
    const box = chart.svg.getBoundingClientRect(), at = ((event.clientX - box.left) / box.width) * W;
    const texts = [];
    let nearest = null;
    chart.data.lines.forEach((line, i) => {
      const found = chart.places[i].filter(Boolean).reduce(
        (best, p) => (!best || Math.abs(p[0] - at) < Math.abs(best[0] - at) ? p : best), null);
      if (!found || !line.legend) return;
      if (!nearest || Math.abs(found[0] - at) < Math.abs(nearest[0] - at)) nearest = found;
      texts.push(`${line.name}: ${+found[3].toPrecision(5)}`);
    });
    if (!nearest) return;
    chart.svg.querySelector(".cursor").setAttribute("d", `M${nearest[0]} ${TOP}V${H - BOTTOM}`);
    chart.tip.textContent = [`${LABELS[state.x]} ${short(nearest[2])}`, ...texts].join("\n");
    chart.tip.style[nearest[0] < W / 2 ? "left" : "right"] = ((nearest[0] < W / 2 ? nearest[0] : W - nearest[0]) / W) * 100 + 3 + "%";
    chart.tip.style[nearest[0] < W / 2 ? "right" : "left"] = "auto";
    chart.tip.hidden = false;
  }

  const charts = [...document.querySelectorAll("figure.chart")].map((figure) => {
    const chart = {
      data: JSON.parse(figure.querySelector("script").textContent),
      svg: figure.querySelector("svg"),
      label: figure.querySelector("figcaption small"),
      tip: figure.appendChild(document.createElement("div")),
    };
    chart.tip.className = "tip";
    chart.tip.hidden = true;
    chart.svg.addEventListener("pointermove", (event) => point(chart, event));
    chart.svg.addEventListener("pointerdown", (event) => point(chart, event));
    chart.svg.addEventListener("pointerleave", () => {
      chart.tip.hidden = true;
      chart.svg.querySelector(".cursor").removeAttribute("d");
    });
    return chart;
  });

  function button(text, isOn, act) {
    const made = controls.appendChild(document.createElement("button"));
    made.type = "button";
    made.textContent = text;
    made.addEventListener("click", () => { act(); show(); });
    return () => made.setAttribute("aria-pressed", isOn());
  }

  function show() {
    charts.forEach(draw);
    updates.forEach((update) => update());
  }

  const shared = Object.keys(LABELS).filter((name) => axes.every((run) => run[name]));
  const updates = shared.map((name) => button("by " + LABELS[name], () => state.x === name, () => { state.x = name; }));
  updates.push(button("log x", () => state.logX, () => { state.logX = !state.logX; }));
  updates.push(button("log y", () => state.logY, () => { state.logY = !state.logY; }));
  controls.hidden = false;
  show();
})();
