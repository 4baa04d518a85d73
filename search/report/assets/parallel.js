// Parallel coordinates: every trial a line through its choices, coloured by its score.

const NONE_GAP = 26;
const COMMON = 0.4; // share of the trials that must have a choice for it to be an axis at first

class Parallel {
  constructor() {
    this.brushes = new Map();
    this.hover = -1;
    this.canvas = el("canvas", { class: "canvas", tabindex: "0", role: "img", style: "height:380px" });
    this.scroll = el("div", { class: "plot-scroll" }, this.canvas);
    this.clear = el("button", { type: "button", class: "tool wide", onclick: () => { this.brushes.clear(); this.draw(); } }, "clear the brushes");
    this.more = el("div", {});
    this.node = el("div", { class: "plot" }, this.scroll, this.more, el("div", { class: "tools", role: "group", "aria-label": "Brushes" }, this.clear));
    this.canvas.plot = this;
    sizes.observe(this.canvas);
    plots.add(this);
    this.listen();
  }

  update() {
    const trials = shownTrials().filter((t) => t.ranked);
    const varied = DATA.dimensions.filter((dim) => new Set(trials.map((t) => valueOf(t, dim))).size > 1);
    const common = varied.filter((dim) => trials.filter((t) => valueOf(t, dim) !== undefined).length >= trials.length * COMMON);
    const axes = ui.allAxes ? varied : common;
    this.rare = varied.length - common.length;
    fill(this.more, this.rare ? el("button", { type: "button", class: "link", onclick: () => { ui.allAxes = !ui.allAxes; this.brushes.clear(); this.update(); } }, ui.allAxes ? "Hide what few trials have" : `Show ${plural(this.rare, "choice")} that few trials have`) : null);
    if (this.key !== axes.map((dim) => dim.key).join()) { this.key = axes.map((dim) => dim.key).join(); this.brushes.clear(); }
    const range = trials.map((t) => t.one_shot_accuracy);
    this.axes = [...axes.map((dim) => ({ ...axisOf(dim), dim, key: dim.key })), { ...scoreAxis(range), key: "accuracy", title: "accuracy" }];
    this.trials = trials;
    this.canvas.style.minWidth = `${Math.max(320, this.axes.length * 84)}px`;
    this.canvas.setAttribute("aria-label", `Parallel coordinates of ${plural(trials.length, "trial")} over ${this.axes.map((a) => a.title).join(", ")}. Arrow keys step through the trials by rank, Enter opens one. Drag along an axis to keep a part of it.`);
    this.focus = -1;
    this.resize();
  }

  request() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => { this.frame = 0; this.draw(); });
  }

  resize() {
    const ratio = Math.min(3, devicePixelRatio || 1);
    const { clientWidth, clientHeight } = this.canvas;
    if (!clientWidth || !this.axes) return;
    this.width = clientWidth; this.tall = clientHeight; this.ratio = ratio;
    this.canvas.width = Math.round(clientWidth * ratio); this.canvas.height = Math.round(clientHeight * ratio);
    this.draw();
  }

  axisX(index) {
    return 56 + (index * (this.width - 112)) / Math.max(1, this.axes.length - 1);
  }

  pixel(axis, value) {
    const bottom = this.tall - 24 - NONE_GAP, top = 50;
    const at = value === undefined ? null : place(axis, value);
    if (at === null) return this.tall - 20;
    const [low, high] = fullView(axis);
    return bottom - ((at - low) / (high - low)) * (bottom - top);
  }

  value(trial, axis) {
    return axis.dim ? valueOf(trial, axis.dim) : trial.one_shot_accuracy;
  }

  isKept(trial) {
    for (const [index, [low, high]] of this.brushes) {
      const y = this.pixel(this.axes[index], this.value(trial, this.axes[index]));
      if (y < low || y > high) return false;
    }
    return true;
  }

  draw() {
    if (!this.axes || !this.width) return;
    const ctx = this.canvas.getContext("2d");
    const colors = theme();
    ctx.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    ctx.clearRect(0, 0, this.width, this.tall);
    const xs = this.axes.map((_, index) => this.axisX(index));
    this.lines = this.trials.map((trial) => this.axes.map((axis, i) => {
      const jitter = axis.kind === "choice" ? (steady(trial.trial * 31 + i) - 0.5) * 10 : 0;
      return [xs[i], this.pixel(axis, this.value(trial, axis)) + jitter];
    }));
    const kept = this.trials.map((trial) => this.isKept(trial));
    const marked = this.hover >= 0 ? this.hover : this.trials.findIndex((t) => t.trial === hovered);
    const alpha = clamp(14 / Math.sqrt(this.trials.length + 1) / 3, 0.12, 0.85);
    // The worst first, so that the best lie on top.
    for (let index = this.trials.length - 1; index >= 0; index -= 1) {
      if (index === marked) continue;
      const share = scoreShare(this.trials[index]);
      this.line(ctx, this.lines[index], kept[index] ? ramp(share, marked >= 0 ? alpha * 0.35 : clamp(alpha + share * 0.3, 0, 0.95)) : colors.line, 1.4);
    }
    this.drawAxes(ctx, xs);
    if (marked >= 0) this.line(ctx, this.lines[marked], colors.ink, 2.6);
    this.clear.parentNode.style.display = this.brushes.size ? "" : "none";
  }

  line(ctx, points, color, width) {
    ctx.beginPath(); ctx.strokeStyle = color; ctx.lineWidth = width;
    points.forEach(([x, y], index) => {
      if (!index) { ctx.moveTo(x, y); return; }
      const [px, py] = points[index - 1];
      const mid = (px + x) / 2;
      ctx.bezierCurveTo(mid, py, mid, y, x, y);
    });
    ctx.stroke();
  }

  drawAxes(ctx, xs) {
    const colors = theme();
    this.axes.forEach((axis, index) => {
      const x = xs[index];
      ctx.strokeStyle = colors.faint; ctx.lineWidth = 1;
      ctx.beginPath(); ctx.moveTo(x + 0.5, 50); ctx.lineTo(x + 0.5, this.tall - 24 - NONE_GAP); ctx.stroke();
      const room = this.axes.length > 1 ? xs[1] - xs[0] - 8 : 100;
      ctx.font = `600 11.5px ${colors.font}`; ctx.fillStyle = colors.ink; ctx.textAlign = "center"; ctx.textBaseline = "alphabetic";
      wrapped(ctx, axis.title === "accuracy" ? "accuracy" : axis.title, room).forEach((line, at, all) => ctx.fillText(line, x, 32 - (all.length - 1 - at) * 13));
      ctx.font = `11px ${colors.font}`;
      ctx.textAlign = index === 0 ? "right" : "left"; ctx.textBaseline = "middle";
      const view = fullView(axis);
      for (const tick of ticks(axis, view, axis.kind === "choice" ? 12 : 5)) {
        const share = (tick.at - view[0]) / (view[1] - view[0]);
        const y = this.tall - 24 - NONE_GAP - share * (this.tall - 74 - NONE_GAP);
        const text = fitted(ctx, tick.text, index === 0 ? 50 : room - 10);
        const left = index === 0 ? x - 6 : x + 6;
        ctx.lineWidth = 4; ctx.strokeStyle = colors.surface; ctx.strokeText(text, left, y);
        ctx.fillStyle = colors.soft; ctx.fillText(text, left, y);
      }
      if (this.trials.some((t) => this.value(t, axis) === undefined)) {
        ctx.lineWidth = 4; ctx.strokeStyle = colors.surface;
        ctx.strokeText("not there", index === 0 ? x - 6 : x + 6, this.tall - 8); ctx.fillStyle = colors.soft; ctx.fillText("not there", index === 0 ? x - 6 : x + 6, this.tall - 8);
      }
      const brush = this.brushes.get(index);
      if (brush) {
        ctx.fillStyle = colors.accent; ctx.globalAlpha = 0.25;
        ctx.fillRect(x - 8, brush[0], 16, brush[1] - brush[0]); ctx.globalAlpha = 1;
      }
    });
  }

  near(px, py) {
    let best = -1, least = 12;
    this.lines.forEach((points, index) => {
      for (let i = 1; i < points.length; i += 1) {
        const [x0, y0] = points[i - 1], [x1, y1] = points[i];
        if (px < x0 || px > x1) continue;
        const t = (px - x0) / (x1 - x0 || 1);
        const y = y0 + (y1 - y0) * (t * t * (3 - 2 * t));
        const away = Math.abs(y - py);
        if (away < least && this.isKept(this.trials[index])) { least = away; best = index; }
      }
    });
    return best;
  }

  mark(index, x, y) {
    this.hover = index;
    hovered = index >= 0 ? this.trials[index].trial : null;
    const box = this.canvas.getBoundingClientRect();
    if (index >= 0) showTip(trialTip(this.trials[index]), box.left + x, box.top + y);
    else hideTip();
    for (const plot of plots) if (plot.isNear !== false) plot.request();
  }

  listen() {
    const { canvas } = this;
    const where = (event) => { const box = canvas.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
    canvas.addEventListener("pointermove", (event) => {
      const [x, y] = where(event);
      if (this.drag) {
        this.drag.y1 = y;
        const { index, y0 } = this.drag;
        if (Math.abs(y - y0) > 4) this.brushes.set(index, [Math.min(y0, y), Math.max(y0, y)]);
        this.request();
        return;
      }
      const index = this.near(x, y);
      if (index !== this.hover) this.mark(index, x, y);
    });
    canvas.addEventListener("pointerleave", () => { if (!this.drag) this.mark(-1); });
    canvas.addEventListener("pointerdown", (event) => {
      if (event.pointerType !== "mouse") return;
      const [x, y] = where(event);
      const index = this.axes.findIndex((_, i) => Math.abs(this.axisX(i) - x) < 14);
      if (index < 0) return;
      this.drag = { index, y0: y, y1: y };
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointerup", (event) => {
      const { drag } = this;
      this.drag = null;
      if (drag) {
        if (Math.abs(drag.y1 - drag.y0) <= 4) this.brushes.delete(drag.index);
        this.request();
        return;
      }
      const [x, y] = where(event);
      const index = this.near(x, y);
      this.mark(index, x, y);
      if (index >= 0 && event.pointerType === "mouse") openTrial(this.trials[index].trial);
    });
    canvas.addEventListener("blur", () => this.mark(-1));
    canvas.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (step && this.trials.length) {
        this.focus = (this.focus + step + this.trials.length) % this.trials.length;
        const [x, y] = this.lines[this.focus][this.axes.length - 1];
        this.mark(this.focus, x, y);
      } else if (event.key === "Enter" && this.focus >= 0) openTrial(this.trials[this.focus].trial);
      else if (event.key === "Escape") { this.brushes.clear(); this.mark(-1); } else return;
      event.preventDefault();
    });
  }
}

function wrapped(ctx, text, room) {
  const lines = [];
  for (const word of text.split(" ")) {
    const joined = lines.length ? `${lines[lines.length - 1]} ${word}` : word;
    if (lines.length && ctx.measureText(joined).width <= room) lines[lines.length - 1] = joined;
    else lines.push(word);
  }
  return lines.slice(0, 3).map((line) => fitted(ctx, line, room));
}
