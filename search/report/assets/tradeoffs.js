// Accuracy against what it costs: size, training time, speed, each with its Pareto front.

const COSTS = [
  { key: "embedding_dim", title: "embedding size", better: "small", kind: "log" },
  { key: "size", title: "weights of the encoder", better: "small", kind: "log", format: bigCount },
  { key: "seconds", title: "seconds of training", better: "small", kind: "log", format: duration },
  { key: "images_per_second", title: "images a second, in training", better: "large", kind: "log", format: bigCount },
];

function tradeoffsSection(root) {
  const grid = el("div", { class: "grid plots" });
  const key = el("div", { class: "controls" });
  const made = COSTS.map((cost) => ({ cost, plot: new Plot(`cost-${cost.key}`, () => costSpec(cost), { height: 280 }) }));
  root.append(card("Accuracy against cost", "The line joins the trials that no other beats on both. Seconds and images a second are of the machine and its load while the search ran.", key, grid));
  whenChanged(() => {
    const axis = colorAxis();
    fill(key, legend([["Pareto front", theme().ink, "line"], ...(axis ? axis.choices.map((choice, index) => [words(choice), category(index)]) : [])]));
    const usable = made.filter(({ cost }) => new Set(DATA.trials.filter((t) => isNumber(t[cost.key])).map((t) => t[cost.key])).size > 1);
    fill(grid, ...usable.map(({ plot }) => plot.update().node));
    if (!usable.length) fill(grid, el("p", { class: "dim" }, "It takes two trials that differ in size or time."));
  });
}

// Trials that no other beats on both, from the cheapest on.
function front(trials, cost) {
  const sign = cost.better === "small" ? 1 : -1;
  const order = [...trials].sort((a, b) => sign * (a[cost.key] - b[cost.key]) || b.one_shot_accuracy - a.one_shot_accuracy);
  const kept = [];
  for (const t of order) if (!kept.length || t.one_shot_accuracy > kept[kept.length - 1].one_shot_accuracy) kept.push(t);
  return kept;
}

function costSpec(cost) {
  const trials = shownTrials().filter((t) => t.ranked && isNumber(t[cost.key]) && t[cost.key] > 0);
  const axis = colorAxis();
  const values = trials.map((t) => t[cost.key]);
  const [low, high] = values.length ? extent(values) : [1, 10];
  const distinct = [...new Set(values)].sort((a, b) => a - b);
  const isFew = cost.key === "embedding_dim" && distinct.length <= 8;
  const x = isFew ? { kind: "choice", choices: distinct, title: cost.title } : { kind: low > 0 && high / low > 4 ? "log" : "linear", low, high, title: cost.title, format: cost.format };
  const best = front(trials, cost);
  return {
    label: `Accuracy against ${cost.title}`, x, y: scoreAxis(trials.map((t) => t.one_shot_accuracy)),
    points: trials.map((t) => trialPoint(t, t[cost.key], t.one_shot_accuracy, colorOf(t, axis))),
    below(ctx, at) {
      ctx.beginPath(); ctx.strokeStyle = theme().ink; ctx.globalAlpha = 0.55; ctx.lineWidth = 1.6;
      const ordered = [...best].sort((a, b) => a[cost.key] - b[cost.key]);
      ordered.forEach((t, index) => {
        const before = ordered[index - 1];
        if (before) ctx.lineTo(at.px(cost.better === "small" ? t[cost.key] : before[cost.key]), at.py(cost.better === "small" ? before.one_shot_accuracy : t.one_shot_accuracy));
        ctx[before ? "lineTo" : "moveTo"](at.px(t[cost.key]), at.py(t.one_shot_accuracy));
      });
      ctx.stroke(); ctx.globalAlpha = 1;
    },
    tip: (point) => trialTip(point.trial, `${cost.title}: ${(cost.format || short)(point.x)}`, best.includes(point.trial) ? "on the Pareto front" : "behind the front"), pick: (point) => openTrial(point.n),
  };
}
