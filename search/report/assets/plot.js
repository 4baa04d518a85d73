// A chart on a canvas: axes, points that can be pointed at and stepped through, zoom.

const SHAPES = { done: "dot", running: "half", stopped: "ring", collapsed: "cross", failed: "triangle" };
const tip = document.getElementById("tip");
const plots = new Set();
const sizes = new ResizeObserver((entries) => entries.forEach((entry) => entry.target.plot.resize()));

function showTip(content, x, y) {
  fill(tip, ...[content].flat());
  tip.classList.add("on");
  const { width, height } = tip.getBoundingClientRect();
  const left = x + 16 + width > innerWidth - 8 ? x - width - 16 : x + 16;
  tip.style.left = `${clamp(left, 8, Math.max(8, innerWidth - width - 8))}px`;
  tip.style.top = `${clamp(y - height / 2, 8, Math.max(8, innerHeight - height - 8))}px`;
}

function hideTip() {
  tip.classList.remove("on");
}

function trialTip(trial, ...lines) {
  const settings = [words(trial.loss), trial.miner !== "none" ? words(trial.miner) : null, trial.margin !== null ? `margin ${short(trial.margin)}` : null, trial.temperature !== null ? `temperature ${short(trial.temperature)}` : null];
  return [
    el("div", { class: "tip-head" }, el("b", {}, `Trial ${trial.trial}`), el("span", { class: `state ${trial.word}` }, trial.word)),
    el("div", { class: "tip-score" }, score(trial.one_shot_accuracy), " ", el("span", {}, plusMinus(trial)), el("span", {}, ` at step ${trial.steps}`)),
    el("div", { class: "tip-line" }, settings.filter(Boolean).join(" · ")),
    ...lines.map((line) => el("div", { class: "tip-line" }, line)),
  ];
}

function drawMark(ctx, shape, x, y, r, color, alpha = 1) {
  ctx.globalAlpha = alpha;
  ctx.strokeStyle = ctx.fillStyle = color;
  ctx.lineWidth = 1.7;
  ctx.beginPath();
  if (shape === "cross") {
    const d = r * 0.85;
    ctx.moveTo(x - d, y - d); ctx.lineTo(x + d, y + d); ctx.moveTo(x + d, y - d); ctx.lineTo(x - d, y + d);
    ctx.stroke();
  } else if (shape === "triangle") {
    ctx.moveTo(x, y - r * 1.1); ctx.lineTo(x + r, y + r * 0.8); ctx.lineTo(x - r, y + r * 0.8); ctx.closePath();
    ctx.stroke();
  } else {
    ctx.arc(x, y, shape === "ring" ? r * 0.85 : r, 0, 7);
    if (shape === "ring") ctx.stroke();
    else if (shape === "half") { ctx.globalAlpha = alpha * 0.45; ctx.fill(); ctx.globalAlpha = alpha; ctx.stroke(); }
    else ctx.fill();
  }
  ctx.globalAlpha = 1;
}

class Plot {
  // spec() gives {x, y, points, label, below, above, tip, pick, margin, equal, hover}; it is asked anew at each update.
  constructor(id, spec, { height = 300, zoom = true } = {}) {
    this.id = id; this.makeSpec = spec; this.height = height; this.focus = -1; this.hover = -1; this.frame = 0;
    this.canvas = el("canvas", { tabindex: "0", role: "img", class: "canvas", style: `height:${height}px` });
    this.tools = zoom ? el("div", { class: "tools", role: "group", "aria-label": "Zoom" },
      el("button", { type: "button", class: "tool", "aria-label": "Zoom in", title: "Zoom in", onclick: () => this.zoomBy(0.6) }, "+"),
      el("button", { type: "button", class: "tool", "aria-label": "Zoom out", title: "Zoom out", onclick: () => this.zoomBy(1 / 0.6) }, "−"),
      el("button", { type: "button", class: "tool wide", "aria-label": "Whole chart", title: "Whole chart", onclick: () => this.reset() }, "reset")) : null;
    this.node = el("div", { class: "plot" }, this.canvas, this.tools);
    this.canvas.plot = this;
    this.listen(zoom);
    sizes.observe(this.canvas);
    plots.add(this);
  }

  update() {
    this.spec = this.makeSpec();
    this.canvas.setAttribute("aria-label", `${this.spec.label}. ${plural(this.spec.points.length, "point")}; arrow keys step through them, Enter opens one.`);
    this.focus = -1;
    this.request();
    return this;
  }

  resize() {
    const ratio = Math.min(3, devicePixelRatio || 1);
    const { clientWidth, clientHeight } = this.canvas;
    if (!clientWidth) return;
    this.width = clientWidth; this.tall = clientHeight;
    this.canvas.width = Math.round(clientWidth * ratio); this.canvas.height = Math.round(clientHeight * ratio);
    this.ratio = ratio;
    this.draw();
  }

  request() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => { this.frame = 0; this.draw(); });
  }

  views() {
    const kept = ui.views[this.id];
    return kept || { x: fullView(this.spec.x), y: fullView(this.spec.y) };
  }

  // Where the axes stand, and functions from values to pixels.
  layout() {
    const { x, y } = this.spec;
    const ctx = this.canvas.getContext("2d");
    const views = this.views();
    ctx.font = `11.5px ${theme().font}`;
    const yTicks = y.hidden ? [] : ticks(y, views.y, Math.max(2, Math.floor(this.tall / 46)));
    const widest = Math.min(110, Math.max(0, ...yTicks.map((tick) => ctx.measureText(tick.text).width)));
    const box = { left: y.hidden ? 6 : widest + 14, right: this.width - 10, top: y.title && !y.hidden ? 26 : 8, bottom: this.tall - (x.hidden ? 6 : x.title ? 42 : 24) };
    let most = Math.max(2, Math.floor((box.right - box.left) / (x.kind === "choice" ? 62 : 66)));
    if (x.kind === "choice" && x.choices.length > most) most = x.choices.length;
    const xTicks = x.hidden ? [] : ticks(x, views.x, most);
    if (this.spec.equal) {
      const scale = Math.min((box.right - box.left) / (views.x[1] - views.x[0]), (box.bottom - box.top) / (views.y[1] - views.y[0]));
      const cx = (views.x[0] + views.x[1]) / 2, cy = (views.y[0] + views.y[1]) / 2;
      const halfX = (box.right - box.left) / scale / 2, halfY = (box.bottom - box.top) / scale / 2;
      views.x = [cx - halfX, cx + halfX]; views.y = [cy - halfY, cy + halfY];
    }
    const toX = (at) => box.left + ((at - views.x[0]) / (views.x[1] - views.x[0])) * (box.right - box.left);
    const toY = (at) => box.bottom - ((at - views.y[0]) / (views.y[1] - views.y[0])) * (box.bottom - box.top);
    return { ctx, box, views, xTicks, yTicks, toX, toY, px: (v) => toX(place(x, v)), py: (v) => toY(place(y, v)) };
  }

  draw() {
    if (!this.spec || !this.width) return;
    const { spec } = this;
    const at = (this.at = this.layout());
    const { ctx, box } = at;
    const colors = theme();
    ctx.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    ctx.clearRect(0, 0, this.width, this.tall);
    this.drawAxes(at);
    ctx.save();
    ctx.beginPath(); ctx.rect(box.left, box.top, box.right - box.left, box.bottom - box.top); ctx.clip();
    if (spec.below) spec.below(ctx, at, this);
    this.spots = spec.points.map((point) => {
      const fx = place(spec.x, point.x), fy = place(spec.y, point.y);
      if (fx === null || fy === null) return null;
      const spread = spec.x.kind === "choice" ? (steady(point.n) - 0.5) * Math.min(0.5, 40 / Math.max(1, at.toX(1) - at.toX(0))) : 0;
      return { x: at.toX(fx + spread), y: at.toY(fy) };
    });
    spec.points.forEach((point, index) => {
      const spot = this.spots[index];
      if (!spot || point.shape === "none") return;
      if (point.draw) point.draw(ctx, spot.x, spot.y);
      else drawMark(ctx, point.shape || "dot", spot.x, spot.y, point.r || 4.2, point.color, point.alpha ?? 0.9);
    });
    if (spec.above) spec.above(ctx, at, this);
    const marked = this.hover >= 0 ? this.hover : this.focus >= 0 ? this.focus : spec.points.findIndex((p) => p.n !== undefined && p.n === hovered);
    const spot = marked >= 0 ? this.spots[marked] : null;
    if (spot) {
      if (spec.hover) spec.hover(ctx, at, spec.points[marked]);
      ctx.beginPath(); ctx.arc(spot.x, spot.y, 8, 0, 7); ctx.lineWidth = 2; ctx.strokeStyle = colors.ink; ctx.stroke();
    }
    ctx.restore();
    if (this.drag) {
      ctx.fillStyle = colors.accent; ctx.globalAlpha = 0.12;
      const { x0, y0, x1, y1 } = this.drag;
      ctx.fillRect(Math.min(x0, x1), Math.min(y0, y1), Math.abs(x1 - x0), Math.abs(y1 - y0));
      ctx.globalAlpha = 1;
    }
    this.node.classList.toggle("zoomed", this.id in ui.views);
  }

  drawAxes({ ctx, box, xTicks, yTicks, toX, toY }) {
    const { x, y } = this.spec;
    const colors = theme();
    ctx.font = `11.5px ${colors.font}`;
    ctx.lineWidth = 1; ctx.strokeStyle = colors.line; ctx.fillStyle = colors.soft;
    ctx.textBaseline = "middle"; ctx.textAlign = "right";
    ctx.beginPath();
    for (const tick of yTicks) {
      const py = Math.round(toY(tick.at)) + 0.5;
      if (py < box.top - 1 || py > box.bottom + 1) continue;
      ctx.moveTo(box.left, py); ctx.lineTo(box.right, py);
      ctx.fillText(tick.text, box.left - 8, py, 104);
    }
    ctx.stroke();
    ctx.textBaseline = "top"; ctx.textAlign = "center";
    const room = x.kind === "choice" && xTicks.length ? (box.right - box.left) / xTicks.length - 4 : 90;
    ctx.beginPath();
    for (const tick of xTicks) {
      const px = Math.round(toX(tick.at)) + 0.5;
      if (px < box.left - 1 || px > box.right + 1) continue;
      if (x.kind !== "choice") { ctx.moveTo(px, box.bottom); ctx.lineTo(px, box.bottom + 4); }
      const half = ctx.measureText(tick.text).width / 2;
      const text = fitted(ctx, tick.text, room);
      ctx.fillText(text, x.kind === "choice" ? px : clamp(px, box.left - 4, this.width - half - 1), box.bottom + 8);
    }
    if (!x.hidden) { ctx.moveTo(box.left, box.bottom + 0.5); ctx.lineTo(box.right, box.bottom + 0.5); }
    ctx.stroke();
    ctx.fillStyle = colors.ink; ctx.font = `500 11.5px ${colors.font}`;
    if (y.title && !y.hidden) { ctx.textAlign = "left"; ctx.textBaseline = "top"; ctx.fillText(y.title, 2, 4); }
    if (x.title && !x.hidden) { ctx.textAlign = "right"; ctx.textBaseline = "bottom"; ctx.fillText(x.title, box.right, this.tall - 3); }
  }

  nearest(px, py, reach = 26) {
    let best = -1, bestSquare = reach * reach;
    if (!this.spots) return best;
    this.spots.forEach((spot, index) => {
      if (!spot) return;
      const square = (spot.x - px) ** 2 + (spot.y - py) ** 2;
      if (square < bestSquare) { bestSquare = square; best = index; }
    });
    return best;
  }

  point(index) {
    this.hover = index;
    const point = this.spec.points[index];
    hovered = point && point.n !== undefined ? point.n : null;
    if (point) {
      const { left, top } = this.canvas.getBoundingClientRect();
      showTip(this.spec.tip(point), left + this.spots[index].x, top + this.spots[index].y);
    } else hideTip();
    this.canvas.style.cursor = point && this.spec.pick ? "pointer" : "";
    for (const plot of plots) if (plot.isNear !== false) plot.request();
  }

  listen(zoom) {
    const { canvas } = this;
    const where = (event) => { const box = canvas.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
    canvas.addEventListener("pointermove", (event) => {
      const [x, y] = where(event);
      if (this.drag) { this.drag.x1 = x; this.drag.y1 = y; this.request(); return; }
      const index = this.nearest(x, y);
      if (index !== this.hover) this.point(index);
    });
    canvas.addEventListener("pointerleave", () => { if (!this.drag) this.point(-1); });
    canvas.addEventListener("pointerdown", (event) => {
      if (!zoom || event.pointerType !== "mouse" || event.button !== 0) return;
      const [x, y] = where(event);
      this.drag = { x0: x, y0: y, x1: x, y1: y };
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointerup", (event) => {
      const { drag } = this;
      this.drag = null;
      if (drag && Math.abs(drag.x1 - drag.x0) > 8 && Math.abs(drag.y1 - drag.y0) > 8) { this.zoomTo(drag); return; }
      const [x, y] = where(event);
      const index = this.nearest(x, y);
      this.point(index);
      if (index >= 0 && this.spec.pick && event.pointerType === "mouse") this.spec.pick(this.spec.points[index]);
    });
    canvas.addEventListener("dblclick", () => this.reset());
    canvas.addEventListener("blur", () => { this.focus = -1; this.point(-1); });
    canvas.addEventListener("keydown", (event) => this.key(event));
  }

  key(event) {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step) {
      const order = this.spec.points.map((_, index) => index).filter((index) => this.spots[index]).sort((a, b) => this.spots[a].x - this.spots[b].x);
      if (!order.length) return;
      const at = order.indexOf(this.focus);
      this.focus = order[(at < 0 ? (step > 0 ? 0 : order.length - 1) : (at + step + order.length) % order.length)];
      this.point(this.focus);
    } else if (event.key === "Enter" && this.focus >= 0 && this.spec.pick) this.spec.pick(this.spec.points[this.focus]);
    else if (event.key === "+" || event.key === "=") this.zoomBy(0.6);
    else if (event.key === "-") this.zoomBy(1 / 0.6);
    else if (event.key === "Escape") { this.focus = -1; this.point(-1); this.reset(); } else return;
    event.preventDefault();
  }

  zoomTo({ x0, y0, x1, y1 }) {
    const { box, views } = this.at;
    const backX = (px) => views.x[0] + ((px - box.left) / (box.right - box.left)) * (views.x[1] - views.x[0]);
    const backY = (py) => views.y[0] + ((box.bottom - py) / (box.bottom - box.top)) * (views.y[1] - views.y[0]);
    ui.views[this.id] = { x: [backX(Math.min(x0, x1)), backX(Math.max(x0, x1))], y: [backY(Math.max(y0, y1)), backY(Math.min(y0, y1))] };
    this.request();
  }

  zoomBy(factor) {
    const views = this.at.views;
    const spot = this.focus >= 0 ? this.spec.points[this.focus] : null;
    const around = (axis, view, value) => {
      const middle = spot && place(axis, value) !== null ? place(axis, value) : (view[0] + view[1]) / 2;
      return [middle - (middle - view[0]) * factor, middle + (view[1] - middle) * factor];
    };
    ui.views[this.id] = { x: around(this.spec.x, views.x, spot && spot.x), y: around(this.spec.y, views.y, spot && spot.y) };
    this.request();
  }

  reset() {
    delete ui.views[this.id];
    this.request();
  }
}

function fitted(ctx, text, room) {
  if (ctx.measureText(text).width <= room) return text;
  let kept = text;
  while (kept.length > 1 && ctx.measureText(`${kept}…`).width > room) kept = kept.slice(0, -1);
  return `${kept.trimEnd()}…`;
}

function legend(items) {
  return el("ul", { class: "legend" }, items.map(([text, color, shape]) => {
    const mark = svg("svg", { viewBox: "0 0 14 14", width: 12, height: 12, "aria-hidden": "true" });
    if (shape === "ring") mark.append(svg("circle", { cx: 7, cy: 7, r: 4.5, fill: "none", stroke: color, "stroke-width": 2 }));
    else if (shape === "cross") mark.append(svg("path", { d: "M3 3l8 8M11 3l-8 8", stroke: color, "stroke-width": 2, fill: "none" }));
    else if (shape === "triangle") mark.append(svg("path", { d: "M7 2l5 9H2z", stroke: color, "stroke-width": 2, fill: "none" }));
    else if (shape === "line") mark.append(svg("path", { d: "M0 7h14", stroke: color, "stroke-width": 2.5 }));
    else if (shape === "dash") mark.append(svg("path", { d: "M0 7h14", stroke: color, "stroke-width": 2, "stroke-dasharray": "3 2" }));
    else mark.append(svg("circle", { cx: 7, cy: 7, r: 5, fill: color }));
    return el("li", {}, mark, text);
  }));
}

const trialPoint = (trial, x, y, color) => ({ n: trial.trial, trial, x, y, color: trial.word === "collapsed" ? theme().warn : trial.word === "failed" ? theme().bad : color, shape: SHAPES[trial.word], alpha: trial.word === "stopped" ? 0.75 : 0.92 });
