// One trial, in a drawer: its score, curve, choices, everything its last report says.

const drawer = document.getElementById("drawer");
drawer.addEventListener("click", (event) => { if (event.target === drawer) drawer.close(); });
let drawerPlot = null;

function openTrial(number) {
  const trial = byNumber(number);
  if (!trial) return;
  hideTip();
  if (drawerPlot) plots.delete(drawerPlot);
  const order = sortedTrials();
  const at = order.indexOf(trial);
  const go = (step) => { const next = order[at + step]; if (next) openTrial(next.trial); };
  const button = (step, name, sign) => el("button", { type: "button", class: "icon-button", "aria-label": name, disabled: !order[at + step] || at < 0, onclick: () => go(step) }, sign);
  drawerPlot = trial.curve.length ? new Plot("drawer", () => drawerSpec(trial), { height: 220, zoom: false }) : null;
  fill(drawer, el("div", { class: "drawer-in" },
    el("div", { class: "drawer-head" }, el("div", {}, el("p", { class: "eyebrow" }, trial.ranked ? `Rank ${rankText(trial)}` : "No rank"), el("h2", { id: "drawer-title" }, `Trial ${trial.trial}`)),
      el("span", { class: `state ${trial.word}` }, trial.word), el("span", { class: "spacer" }), button(-1, "Trial before", "↑"), button(1, "Next trial", "↓"),
      el("button", { type: "button", class: "icon-button", "aria-label": "Close", onclick: () => drawer.close() }, "✕")),
    trial.note ? el("p", { class: "note" }, trial.note) : null,
    isNumber(trial.one_shot_accuracy) ? el("p", { class: "big" }, score(trial.one_shot_accuracy), el("span", {}, plusMinus(trial))) : null,
    drawerPlot ? [drawerPlot.node] : el("p", { class: "dim" }, "It has not reported yet."),
    el("h3", {}, "What it chose"), pairs(Object.entries(trial.params).map(([name, value]) => [DATA.labels[name] || name, short(value), name])),
    extraRows(trial),
    trial.last.length ? [el("h3", {}, "Its last report"), pairs(DATA.report_fields.map((name, index) => [words(name), shownField(name, trial.last[index])]).filter(([, value]) => value !== null))] : null,
    el("h3", {}, "Where it differs from other trials"), pairs(DATA.varying.map((key, index) => [key, trial.values[index] === undefined ? "–" : short(trial.values[index])]), true),
    el("details", {}, el("summary", {}, "The same in every trial"), pairs(Object.entries(DATA.common).map(([key, value]) => [key, Array.isArray(value) ? value.join(", ") : short(value)]), true)),
    el("p", { class: "dim" }, [trial.attempts ? plural(trial.attempts, "start") : "not started", trial.started ? `begun ${trial.started.replace("T", " ")}` : null, isNumber(trial.size) ? `${bigCount(trial.size)} weights` : null, `step ${short(trial.steps)} of ${short(trial.budget)}`].filter(Boolean).join(" · "))));
  if (!drawer.open) drawer.showModal();
  drawer.scrollTop = 0;
  if (drawerPlot) drawerPlot.update();
}

function shownField(name, value) {
  if (Array.isArray(value) || (value && typeof value === "object")) return null;
  return name.includes("accuracy") || name.includes("interval") ? score(value) : short(value);
}

function pairs(rows, isCode = false) {
  return el("dl", { class: `pairs${isCode ? " code" : ""}` }, rows.map(([name, value, title]) => el("div", {}, el("dt", { title: title || null }, name), el("dd", {}, value))));
}

// What the leaderboard says beyond what this page knows by name.
function extraRows(trial) {
  const rows = Object.keys(trial).filter((key) => !KNOWN.has(key) && (isNumber(trial[key]) || typeof trial[key] === "string")).map((key) => [words(key), short(trial[key])]);
  return rows.length ? [el("h3", {}, "Leaderboard"), pairs(rows)] : null;
}

function drawerSpec(trial) {
  const at = DATA.curve_fields.indexOf("one_shot_accuracy");
  const curve = trial.curve.filter((row) => isNumber(row[at]));
  return {
    label: `Learning curve of trial ${trial.trial}`,
    x: { kind: "linear", low: 0, high: trial.budget, title: "step" }, y: scoreAxis([...curve.map((row) => row[at]), ...DATA.baselines.map((b) => b.value)]),
    points: curve.map((row) => ({ x: row[0], y: row[at], color: theme().accent, row })),
    below(ctx, place) {
      drawRungs(ctx, place); drawBaselines(ctx, place);
      ctx.beginPath(); ctx.strokeStyle = theme().accent; ctx.lineWidth = 2;
      curve.forEach((row, index) => ctx[index ? "lineTo" : "moveTo"](place.px(row[0]), place.py(row[at])));
      ctx.stroke();
    },
    tip: (point) => [el("b", {}, `step ${point.x}`), ...DATA.curve_fields.slice(1).map((name, index) => el("div", { class: "tip-line" }, `${words(name)} ${name === "one_shot_accuracy" ? score(point.row[index + 1]) : short(point.row[index + 1])}`))],
  };
}
