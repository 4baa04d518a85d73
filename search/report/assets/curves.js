// Learning curves of all trials, with the rungs at which the search stopped some.

function curvesSection(root) {
  const controls = el("div", { class: "controls" });
  const plot = new Plot("curves", curvesSpec, { height: 420 });
  root.append(card("Learning curves", "Each line is a trial; a ring at its end says that it was stopped early. Upright lines are rungs: steps at which the worse trials were stopped.", controls, plot.node));
  whenChanged(() => {
    const axis = colorAxis();
    const values = [["one_shot_accuracy", "one-shot accuracy"], ["spread", "spread of embeddings"], ["loss", "training loss"]];
    fill(controls, choose("Show", values, ui.curveY, (key) => { ui.curveY = key; delete ui.views.curves; changed(); }),
      segmented("Over", [["step", "steps"], ["seconds", "seconds"]], ui.curveX, (key) => { ui.curveX = key; delete ui.views.curves; changed(); }),
      axis ? legend(axis.choices.map((choice, index) => [words(choice), category(index)])) : "");
    plot.update();
  });
}

function curvesSpec() {
  const xAt = DATA.curve_fields.indexOf(ui.curveX), yAt = DATA.curve_fields.indexOf(ui.curveY);
  const trials = shownTrials().filter((t) => t.curve.length);
  const axis = colorAxis();
  const rows = trials.flatMap((t) => t.curve.filter((row) => isNumber(row[xAt]) && isNumber(row[yAt])));
  const yValues = rows.map((row) => row[yAt]);
  const isScore = ui.curveY === "one_shot_accuracy";
  const [low, high] = rows.length ? extent(yValues) : [0, 1];
  const isLog = ui.curveY === "loss" && low > 0 && high / low > 50;
  const y = isScore ? scoreAxis([...yValues, ...DATA.baselines.map((b) => b.value)]) : { kind: isLog ? "log" : "linear", low: isLog ? low : Math.min(0, low), high, title: ui.curveY === "spread" ? "spread, 0 = all in one point" : "training loss" };
  const points = [];
  for (const t of trials) {
    const color = t.word === "collapsed" ? theme().warn : colorOf(t, axis);
    t.curve.forEach((row, index) => {
      if (!isNumber(row[xAt]) || !isNumber(row[yAt])) return;
      points.push({ n: t.trial, trial: t, x: row[xAt], y: row[yAt], row, color, shape: index === t.curve.length - 1 ? SHAPES[t.word] : "none", r: 3.6 });
    });
  }
  const path = (ctx, at, t) => {
    ctx.beginPath();
    let isOpen = false;
    for (const row of t.curve) {
      if (!isNumber(row[xAt]) || !isNumber(row[yAt])) { isOpen = false; continue; }
      ctx[isOpen ? "lineTo" : "moveTo"](at.px(row[xAt]), at.py(row[yAt]));
      isOpen = true;
    }
    ctx.stroke();
  };
  return {
    label: "Learning curves", x: { kind: "linear", low: 0, high: Math.max(1e-9, ...rows.map((row) => row[xAt])), title: ui.curveX === "step" ? "step" : "seconds of the trial" }, y, points,
    below(ctx, at) {
      if (ui.curveX === "step") drawRungs(ctx, at);
      if (isScore) drawBaselines(ctx, at);
      for (const t of [...trials].reverse()) {
        ctx.strokeStyle = t.word === "collapsed" ? theme().warn : colorOf(t, axis);
        ctx.globalAlpha = hovered !== null ? 0.14 : clamp(6 / Math.sqrt(trials.length), 0.12, 0.8);
        ctx.lineWidth = t.trial === DATA.best ? 2.6 : 1.5;
        path(ctx, at, t);
      }
      ctx.globalAlpha = 1;
      const marked = hovered === null ? null : trials.find((t) => t.trial === hovered);
      if (marked) { ctx.strokeStyle = colorOf(marked, axis); ctx.lineWidth = 3; path(ctx, at, marked); }
    },
    tip: (point) => trialTip(point.trial, `here: step ${point.row[0]}, ${score(point.row[DATA.curve_fields.indexOf("one_shot_accuracy")])}`), pick: (point) => openTrial(point.n),
  };
}

function drawRungs(ctx, at) {
  ctx.save();
  ctx.strokeStyle = theme().soft; ctx.fillStyle = theme().soft; ctx.lineWidth = 1; ctx.setLineDash([2, 4]);
  ctx.font = `11px ${theme().font}`; ctx.textBaseline = "bottom"; ctx.textAlign = "left";
  for (const rung of DATA.rungs) {
    const x = Math.round(at.px(rung)) + 0.5;
    ctx.beginPath(); ctx.moveTo(x, at.box.top); ctx.lineTo(x, at.box.bottom); ctx.stroke();
    ctx.fillText(`rung ${rung}`, x + 4, at.box.bottom - 4);
  }
  ctx.restore();
}
