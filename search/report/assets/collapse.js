// Where embeddings collapse: learning rate x margin (or temperature), one panel a miner.

function collapseSection(root) {
  const controls = el("div", { class: "controls" });
  const grid = el("div", { class: "grid small-plots" });
  const made = new Map();
  root.append(card("Map of collapse", "Colour is the spread of the embeddings at the last report: 1 where they fill all directions, 0 where all lie in one point. A cross is a trial that the search stopped as collapsed, a triangle one that failed.", controls, grid));
  whenChanged(() => {
    const keys = ["margin", "temperature"].filter((key) => DATA.trials.some((t) => isNumber(t[key])));
    if (!keys.length) {
      fill(controls);
      fill(grid, el("p", { class: "dim" }, "No trial has a margin or a temperature."));
      return;
    }
    const key = keys.includes(ui.collapseY) ? ui.collapseY : keys[0];
    const miners = [...new Set(DATA.trials.filter((t) => isNumber(t[key])).map((t) => t.miner))].sort();
    fill(controls, keys.length > 1 ? segmented("Learning rate against", keys.map((name) => [name, name]), key, (name) => { ui.collapseY = name; changed(); }) : "",
      el("div", { class: "ramp spread", "aria-hidden": "true" }, el("span", {}, "one point"), el("i", {}), el("span", {}, "spread out")), legend([["collapsed", theme().warn, "cross"], ["failed", theme().bad, "triangle"]]));
    fill(grid, ...miners.map((miner) => {
      const id = `collapse-${key}-${miner}`;
      if (!made.has(id)) made.set(id, new Plot(id, () => collapseSpec(key, miner), { height: 230 }));
      return el("figure", { class: "small" }, el("figcaption", {}, miner === "none" ? "no miner" : words(miner)), made.get(id).update().node);
    }));
  });
}

function collapseSpec(key, miner) {
  const has = (t) => isNumber(t[key]) && isNumber(t.learning_rate);
  const all = DATA.trials.filter(has);
  const range = (values) => { const [low, high] = extent(values); return low > 0 && high / low > 8 ? { kind: "log", low, high } : { kind: "linear", low, high }; };
  const x = { ...range(all.map((t) => t.learning_rate)), title: "learning rate" }, y = { ...range(all.map((t) => t[key])), title: key };
  const at = DATA.curve_fields.indexOf("spread");
  const spread = (t) => (t.curve.length ? t.curve[t.curve.length - 1][at] : null);
  const trials = shownTrials().filter((t) => has(t) && t.miner === miner);
  return {
    label: `Spread of embeddings over learning rate and ${key}, miner ${words(miner)}`, x, y,
    points: trials.map((t) => {
      const point = trialPoint(t, t.learning_rate, t[key], ramp(spread(t)));
      return t.word === "collapsed" || t.word === "failed" ? { ...point, r: 5.5 } : { ...point, draw: (ctx, px, py) => { drawMark(ctx, "dot", px, py, 6, theme().faint, 0.9); drawMark(ctx, "dot", px, py, 5, ramp(spread(t))); } };
    }),
    tip: (point) => trialTip(point.trial, `spread ${short(spread(point.trial))}, learning rate ${short(point.trial.learning_rate)}`), pick: (point) => openTrial(point.n),
  };
}
