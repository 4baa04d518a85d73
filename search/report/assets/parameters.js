// What mattered: importance by branch, every parameter against the score, and two at a time.

function parametersSection(root) {
  const importance = el("div", { class: "card" });
  const parallel = new Parallel();
  const sliceKey = el("div", { class: "controls" });
  const slices = el("div", { class: "grid small-plots" });
  const contourControls = el("div", { class: "controls" });
  const contour = new Plot("contour", contourSpec, { height: 380 });
  const rampKey = () => el("div", { class: "ramp", "aria-hidden": "true" }, el("span", {}, score(scoreRange()[0])), el("i", {}), el("span", {}, score(scoreRange()[1])));
  const parallelKey = el("div", {});
  root.append(importance, card("All choices at once", "One line a trial, from its choices to its score. Drag along an axis to keep a part of it; a click opens the trial.", parallelKey, parallel.node),
    card("One choice at a time", "The newest score of each trial against each value. Rings were stopped early, and stand at the score they had then.", sliceKey, slices),
    card("Two at a time", "Dots are trials; the colour between them is a weighted mean of those near by, and fades where there are none.", contourControls, contour.node));
  const slicePlots = new Map();
  whenChanged(() => {
    fill(importance, ...importanceCard());
    fill(parallelKey, rampKey());
    parallel.update();
    const axis = colorAxis();
    const choices = DATA.dimensions.filter((dim) => dim.kind === "choice");
    fill(sliceKey, ...(axis ? [choose("Colour by", choices.map((dim) => [dim.key, dim.label]), axis.key, (key) => { ui.color = key; changed(); }), legend(axis.choices.map((choice, index) => [words(choice), category(index)]))] : []));
    for (const dim of DATA.dimensions) {
      if (!slicePlots.has(dim.key)) slicePlots.set(dim.key, new Plot(`slice-${dim.key}`, () => sliceSpec(dim), { height: 200 }));
    }
    fill(slices, ...DATA.dimensions.map((dim) => slicePlots.get(dim.key).update().node));
    if (!DATA.dimensions.length) fill(slices, el("p", { class: "dim" }, "The space fixes every value: there is nothing to compare."));
    const numeric = DATA.dimensions.filter((dim) => dim.kind !== "choice" || dim.choices.length > 1);
    const [x, y] = contourAxes();
    fill(contourControls, ...(x && y ? [choose("Across", numeric.map((dim) => [dim.key, dim.label]), x.key, (key) => { ui.contour = [key, key === y.key ? x.key : y.key]; changed(); }), choose("Up", numeric.map((dim) => [dim.key, dim.label]), y.key, (key) => { ui.contour = [key === x.key ? y.key : x.key, key]; changed(); }), rampKey()] : []));
    contour.update();
  });
}

// A select with its label; focus stays on it when the page draws itself anew.
function choose(name, options, value, pick) {
  const id = `choose-${name.toLowerCase().replace(/\W+/g, "-")}`;
  const select = el("select", { id }, options.map(([key, text]) => el("option", { value: key, selected: key === value }, text)));
  select.addEventListener("change", () => pick(select.value));
  return el("label", { class: "choose", for: id }, el("span", {}, name), select);
}

// Buttons of which one is pressed.
function segmented(name, options, value, pick) {
  const node = el("div", { class: "segmented", role: "group", "aria-label": name }, options.map(([key, text]) => el("button", { type: "button", "aria-pressed": String(key === value), "data-key": key, onclick: () => pick(key) }, text)));
  return node;
}

function importanceCard() {
  const all = DATA.importance;
  const head = el("div", { class: "card-head" }, el("h3", {}, "What decided the score"), el("p", {}, "PED-ANOVA: how much more the good trials agree on a parameter than all trials do. Within a branch, only its own trials are compared."));
  if (!all.length) return [head, el("p", { class: "dim" }, "It takes eight trials with different scores to say. There are fewer yet.")];
  const scopes = [...new Set(all.map((found) => scopeKey(found)))];
  const scope = scopes.includes(ui.scope) ? ui.scope : scopes[0];
  const targets = all.filter((found) => scopeKey(found) === scope);
  const chosen = targets.find((found) => String(found.step) === ui.target) || [...targets].sort((a, b) => (b.step === null) - (a.step === null)).find((f) => f.step === null ? f.num_trials >= 20 : true) || targets[0];
  const name = (key) => (key ? words(key.split("=")[1]) : "all trials");
  const targetName = (found) => (found.step === null ? `full budget (${found.num_trials} trials)` : `step ${found.step} (${found.num_trials} trials)`);
  const entries = Object.entries(chosen.values).filter(([, value]) => value >= 0.005).slice(0, 12);
  const top = Math.max(...entries.map(([, value]) => value), 1e-9);
  return [head,
    el("div", { class: "controls" }, scopes.length > 1 ? choose("Among", scopes.map((key) => [key, name(key)]), scope, (key) => { ui.scope = key; changed(); }) : null,
      targets.length > 1 ? choose("Compared at", targets.map((found) => [String(found.step), targetName(found)]), String(chosen.step), (key) => { ui.target = key; changed(); }) : el("span", { class: "dim" }, `compared at ${targetName(chosen)}`)),
    entries.length ? el("ul", { class: "bars" }, entries.map(([key, value]) => el("li", {}, el("span", { class: "bar-name", title: key }, DATA.labels[key] || key), el("span", { class: "bar-track", "aria-hidden": "true" }, el("i", { style: `width:${(100 * value) / top}%` })), el("span", { class: "bar-value" }, percent(value, 0))))) : el("p", { class: "dim" }, "Nothing stands out: the good trials are spread as all are."),
    chosen.num_trials < 30 ? el("p", { class: "hint" }, `From ${chosen.num_trials} trials: read it as a hint.`) : null];
}

const scopeKey = (found) => (found.branch === null ? "" : `${found.parameter}=${found.branch}`);

function sliceSpec(dim) {
  const trials = shownTrials().filter((t) => t.ranked || (t.word === "collapsed" && isNumber(t.one_shot_accuracy)));
  const axis = colorAxis();
  const points = trials.filter((t) => valueOf(t, dim) !== undefined).map((t) => trialPoint(t, valueOf(t, dim), t.one_shot_accuracy, colorOf(t, axis)));
  return { label: `Accuracy against ${dim.label}`, x: axisOf(dim), y: { ...scoreAxis(trials.map((t) => t.one_shot_accuracy)), title: "" }, points, tip: (point) => trialTip(point.trial, `${dim.label} ${short(point.x)}`), pick: (point) => openTrial(point.n) };
}

function contourAxes() {
  const usable = DATA.dimensions.filter((dim) => dim.kind !== "choice" || dim.choices.length > 1);
  const kept = ui.contour.map((key) => usable.find((dim) => dim.key === key));
  if (kept[0] && kept[1]) return kept;
  // The two numbers that most trials have, the learning rate first.
  const count = (dim) => DATA.trials.filter((t) => valueOf(t, dim) !== undefined).length;
  const order = [...usable].sort((a, b) => (a.kind === "choice") - (b.kind === "choice") || (b.key === "optimizer.learning_rate") - (a.key === "optimizer.learning_rate") || (b.key.includes("margin") || b.key.includes("temperature")) - (a.key.includes("margin") || a.key.includes("temperature")) || count(b) - count(a));
  return [order[0], order[1]];
}

function contourSpec() {
  const [dx, dy] = contourAxes();
  const empty = { kind: "linear", low: 0, high: 1, hidden: true };
  if (!dx || !dy) return { label: "Two parameters against each other: the space has fewer", x: empty, y: empty, points: [], tip: () => [] };
  const x = axisOf(dx), y = { ...axisOf(dy) };
  const trials = shownTrials().filter((t) => t.ranked && valueOf(t, dx) !== undefined && valueOf(t, dy) !== undefined);
  return {
    label: `Accuracy over ${dx.label} and ${dy.label}`, x, y,
    points: trials.map((t) => ({ ...trialPoint(t, valueOf(t, dx), valueOf(t, dy), theme().ink), draw: (ctx, px, py) => { drawMark(ctx, "dot", px, py, 5.4, theme().surface); drawMark(ctx, "dot", px, py, 4.2, ramp(scoreShare(t))); } })),
    below: (ctx, at) => drawField(ctx, at, trials, x, y, dx, dy),
    tip: (point) => trialTip(point.trial, `${dx.label} ${short(point.x)}, ${dy.label} ${short(point.y)}`), pick: (point) => openTrial(point.n),
  };
}

// Nadaraya-Watson mean of the scores on a grid, in bands, faded by how near the next trial is.
function drawField(ctx, { box, views }, trials, x, y, dx, dy) {
  if (trials.length < 3) return;
  const fx = fullView(x), fy = fullView(y);
  const spots = trials.map((t) => [(place(x, valueOf(t, dx)) - fx[0]) / (fx[1] - fx[0]), (place(y, valueOf(t, dy)) - fy[0]) / (fy[1] - fy[0]), scoreShare(t)]);
  const width = 0.09 + 0.12 / Math.sqrt(spots.length);
  const cell = trials.length > 500 ? 12 : 5;
  const [wide, tall] = [Math.ceil((box.right - box.left) / cell), Math.ceil((box.bottom - box.top) / cell)];
  const small = el("canvas", { width: wide, height: tall });
  const field = small.getContext("2d");
  for (let column = 0; column < wide; column += 1) {
    for (let row = 0; row < tall; row += 1) {
      const ux = (views.x[0] + ((column + 0.5) / wide) * (views.x[1] - views.x[0]) - fx[0]) / (fx[1] - fx[0]);
      const uy = (views.y[0] + (1 - (row + 0.5) / tall) * (views.y[1] - views.y[0]) - fy[0]) / (fy[1] - fy[0]);
      let sum = 0, weights = 0;
      for (const [sx, sy, share] of spots) {
        const weight = Math.exp(-((sx - ux) ** 2 + (sy - uy) ** 2) / (2 * width * width));
        sum += weight * share; weights += weight;
      }
      if (weights < 0.02) continue;
      field.fillStyle = ramp(Math.round((sum / weights) * 16) / 16, 0.8 * clamp(weights, 0, 1));
      field.fillRect(column, row, 1, 1);
    }
  }
  ctx.imageSmoothingEnabled = true; ctx.imageSmoothingQuality = "high";
  ctx.drawImage(small, box.left, box.top, box.right - box.left, box.bottom - box.top);
}
