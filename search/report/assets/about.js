// What the numbers rest on: data, episodes, space, versions.

function aboutSection(root) {
  const body = el("div", { class: "two" });
  root.append(body);
  whenChanged(() => {
    const { data, versions, protocol: p } = DATA;
    const rows = [["data", data.name], ["data fingerprint", data.fingerprint], ["split", data.split], ["episodes", DATA.episodes],
      ["protocol", p && `${p.way}-way ${p.shot}-shot, ${whole(p.episodes)} episodes of ${plural(p.queries, "query", "queries")} a class, within ${p.within === "group" ? "a group" : "all classes"}`],
      ["scheduler", DATA.scheduler], ["seed", isNumber(DATA.seed) ? String(DATA.seed) : null], ...Object.entries(versions)].filter(([, value]) => value);
    fill(body, 
      el("div", { class: "card" }, el("div", { class: "card-head" }, el("h3", {}, "What it was made from"), el("p", {}, "Two results can be compared where fingerprint, split and episodes are the same.")), pairs(rows, true), (data.notes || []).length ? el("ul", { class: "notes" }, data.notes.map((note) => el("li", {}, note))) : null),
      el("div", { class: "card" }, el("div", { class: "card-head" }, el("h3", {}, "The space"), el("p", {}, "What was searched; run it again with this file.")), el("pre", { tabindex: "0", "aria-label": "The space as YAML" }, DATA.space)));
    fill(document.getElementById("foot"), `Made by tripletune ${versions.tripletune || ""} from the study ${DATA.study}, ${DATA.made.replace("T", " ").replace("+00:00", " UTC")}. This file holds everything it shows.`);
  });
}
