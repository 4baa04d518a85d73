// The first screen: the answer, how sure it is, and how the search came to it.

function overview(root) {
  const head = el("div", { class: "hero" });
  const facts = el("dl", { class: "facts" });
  const progress = new Plot("progress", progressSpec, { height: 260 });
  const key = el("div", {});
  const history = card("Progress of the search", "Each trial by its newest score, in the order in which they began. The line is the best so far at full budget.", key, progress.node);
  root.append(head, facts, history);
  whenChanged(() => {
    fill(head, ...hero());
    fill(facts, ...overviewFacts());
    const present = WORDS.filter((word) => DATA.trials.some((t) => t.word === word));
    const tone = theme();
    fill(key, legend([...present.map((word) => [WORD_TEXT[word], word === "collapsed" ? tone.warn : word === "failed" ? tone.bad : tone.accent, SHAPES[word]]), ...DATA.baselines.map((b) => [b.name, tone.soft, "dash"])]));
    history.hidden = !hasScores();
    progress.update();
  });
}

function protocol() {
  const p = DATA.protocol;
  return p ? `${p.way}-way ${p.shot === 1 ? "one" : p.shot}-shot` : "one-shot";
}

// What the model must beat: the highest of the scores that need no search.
function bestBaseline() {
  return DATA.baselines.filter((b) => isNumber(b.value)).reduce((best, b) => (best && best.value >= b.value ? best : b), null);
}

function hero() {
  const best = DATA.best === null ? null : byNumber(DATA.best);
  const base = bestBaseline();
  const title = el("div", { class: "hero-title" },
    el("p", { class: "eyebrow" }, "Study"),
    el("h1", {}, DATA.study),
    el("p", { class: "lede" }, lede(best, base)));
  if (!best) return [title];
  const ends = best.interval;
  const marks = [...DATA.baselines.map((b) => [b.value, b.name, "base"]), [best.one_shot_accuracy, `trial ${best.trial}`, "best"]].filter(([value]) => isNumber(value));
  const gauge = el("div", { class: "gauge", role: "img", "aria-label": marks.map(([v, name]) => `${name} ${percent(v)}`).join(", ") },
    el("div", { class: "gauge-line" }),
    el("div", { class: "gauge-span", style: `left:${100 * ends[0]}%;width:${100 * (ends[1] - ends[0])}%` }),
    marks.map(([value, name, kind]) => el("div", { class: `gauge-mark ${kind} ${value > 0.8 ? "end" : value < 0.2 ? "start" : ""}`, style: `left:${100 * value}%` }, el("span", {}, kind === "base" && base && value === base.value ? `${name} ${score(value)}` : ""))));
  const settings = [["loss", words(best.loss)], best.miner !== "none" && ["miner", words(best.miner)], best.margin !== null && ["margin", short(best.margin)], best.temperature !== null && ["temperature", short(best.temperature)],
    ["encoder", words(best.encoder)], ["embedding", `${best.embedding_dim} dimensions`], ["learning rate", short(best.learning_rate)]].filter(Boolean);
  return [title, el("div", { class: "hero-score card" },
    el("p", { class: "eyebrow" }, `Best model · trial ${best.trial}`),
    el("p", { class: "big" }, score(best.one_shot_accuracy), el("span", {}, plusMinus(best))),
    gauge,
    el("dl", { class: "settings" }, settings.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)))),
    el("button", { type: "button", class: "link", onclick: () => openTrial(best.trial) }, "The whole trial"))];
}

function lede(best, base) {
  const { length } = DATA.trials;
  if (!length) return "No trial has begun yet. The page fills as they come in: run the search, and make this report again or serve it.";
  if (!best) return `${plural(length, "trial")}, and none has trained its whole budget with a score that counts. What there is stands below, with the reasons.`;
  const parts = [`The best of ${plural(length, "trial")} answers `, el("b", {}, percent(best.one_shot_accuracy)), ` of ${protocol()} questions about classes it never trained on`];
  parts.push(best.interval ? `, with a 95\u202f% interval of ${(100 * best.interval[0]).toFixed(1)} to ${percent(best.interval[1])} over episodes.` : ".");
  if (base) parts.push(` ${base.name === "pixel 1nn" ? "The nearest neighbour in raw pixels" : `The best baseline, ${base.name},`} gets ${percent(base.value)}.`);
  if (DATA.optimism >= 0.0005) parts.push(el("span", { class: "aside" }, `The best of many is partly luck: expect about ${(100 * DATA.optimism).toFixed(1)} points less on fresh episodes.`));
  else if (length > 1) parts.push(el("span", { class: "aside" }, "It was chosen for this very score, so a fresh one tends to be a little lower."));
  const first = DATA.trials.filter((t) => t.ranked && t.rank === 1).length;
  if (first > 1) parts.push(el("span", { class: "aside" }, `${first} trials share the first rank: they cannot be told apart on the same episodes.`));
  return parts;
}

function overviewFacts() {
  const counts = WORDS.map((word) => [word, DATA.trials.filter((t) => t.word === word).length]).filter(([, n]) => n);
  const seconds = DATA.trials.reduce((sum, t) => sum + (t.seconds || 0), 0);
  const { data } = DATA;
  const bar = el("div", { class: "stack", "aria-hidden": "true" }, counts.map(([word, n]) => el("i", { class: word, style: `flex:${n}` })));
  const fact = (name, value, ...rest) => el("div", { class: "fact" }, el("dt", {}, name), el("dd", {}, el("b", {}, value), ...rest));
  return [
    fact("Trials", whole(DATA.trials.length), bar, el("small", {}, counts.map(([word, n]) => `${n} ${word}`).join(", ") || "none yet")),
    fact("Training time", duration(seconds), el("small", {}, DATA.trials.length ? `${duration(seconds / DATA.trials.length)} a trial${DATA.scheduler === "asha" ? ", stopped early by ASHA" : ""}` : "of all trials together")),
    fact("Trained on", isNumber(data.train_classes) ? plural(data.train_classes, "class", "classes") : "–", el("small", {}, isNumber(data.train_images) ? `${whole(data.train_images)} images${data.name ? ` of ${data.name}` : ""}` : "")),
    fact("Scored on", isNumber(data.validation_classes) ? `${plural(data.validation_classes, "other class", "other classes")}` : "–", el("small", {}, DATA.protocol ? `${whole(DATA.protocol.episodes)} frozen episodes, ${protocol()}` : "")),
  ];
}

function progressSpec() {
  const trials = shownTrials().filter((t) => isNumber(t.one_shot_accuracy));
  const values = [...trials.map((t) => t.one_shot_accuracy), ...DATA.baselines.map((b) => b.value)];
  const last = Math.max(1, ...DATA.trials.map((t) => t.trial));
  const line = [];
  let top = -Infinity;
  for (const t of [...trials].sort((a, b) => a.trial - b.trial)) {
    if (t.word === "done" && t.ranked && t.one_shot_accuracy > top) line.push([t.trial, (top = t.one_shot_accuracy)]);
  }
  return {
    label: "Score of each trial in the order in which they began",
    x: { kind: "linear", low: 0, high: last, title: "trial", format: (v) => (Number.isInteger(v) ? short(v) : "") }, y: scoreAxis(values),
    points: trials.map((t) => trialPoint(t, t.trial, t.one_shot_accuracy, theme().accent)),
    below(ctx, at) {
      drawBaselines(ctx, at);
      if (!line.length) return;
      ctx.beginPath(); ctx.strokeStyle = theme().accent; ctx.globalAlpha = 0.5; ctx.lineWidth = 2;
      line.forEach(([x, y], index) => { if (index) ctx.lineTo(at.px(x), at.py(line[index - 1][1])); ctx[index ? "lineTo" : "moveTo"](at.px(x), at.py(y)); });
      ctx.lineTo(at.box.right, at.py(top)); ctx.stroke(); ctx.globalAlpha = 1;
    },
    tip: (point) => trialTip(point.trial), pick: (point) => openTrial(point.n),
  };
}

function drawBaselines(ctx, at) {
  ctx.save();
  ctx.setLineDash([4, 4]); ctx.strokeStyle = theme().soft; ctx.lineWidth = 1; ctx.globalAlpha = 0.8;
  for (const { value } of DATA.baselines) {
    if (!isNumber(value)) continue;
    ctx.beginPath(); ctx.moveTo(at.box.left, at.py(value)); ctx.lineTo(at.box.right, at.py(value)); ctx.stroke();
  }
  ctx.restore();
}

function card(title, text, ...children) {
  return el("div", { class: "card" }, el("div", { class: "card-head" }, title && el("h3", {}, title), text && el("p", {}, text)), ...children);
}
