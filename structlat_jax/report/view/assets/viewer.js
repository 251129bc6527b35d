"use strict";

const FRAME = 110; /* milliseconds between two steps that are played */

const runs = JSON.parse(document.getElementById("runs").textContent).map(unpackedRun);
const state = { run: 0, beside: runs.length > 1 ? 1 : null, seed: 0, task: 0, episode: 0, step: 0, playing: null };
const clamp = (value, most) => Math.max(0, Math.min(value, most));

/* Which part of a run is shown: what the page shows, as far as this run has it. */
function placeIn(run) {
  const seed = clamp(state.seed, run.seeds.length - 1), task = clamp(state.task, run.tasks.length - 1);
  const episode = clamp(state.episode, run.episodes - 1);
  return { seed, task, episode, step: clamp(state.step, lengthOf(run, seed, task, episode)) };
}

const lengthOf = (run, seed, task, episode) => at(run.length, seed, task, episode);
const shownRuns = () => [state.run, state.beside].filter((i) => i !== null).map((i) => runs[i]);
const lastEpisode = () => Math.max(...shownRuns().map((run) => run.episodes)) - 1;

function lastStep(episode) {
  return Math.max(...shownRuns().map((run) => {
    const place = placeIn(run);
    return lengthOf(run, place.seed, place.task, clamp(episode, run.episodes - 1));
  }));
}

/* The panels of one run, empty. */
function makeSide(run) {
  const side = element("section", undefined, "side");
  side.append(element("h2", `${run.name} on ${run.env}`), element("p"));
  const panels = element("div", undefined, "panels");
  const panel = (name, title, draw, onClick) => {
    const box = element("section"), chart = element("div", undefined, name);
    const heading = element("h3", title);
    box.append(heading, chart);
    panels.append(box);
    return { box, heading, chart, draw, onClick, name };
  };
  const made = [
    panel("world", (run.path ? "What it did" : "What it saw") + (run.leads ? ", and where its hypotheses lead" : ""), world),
    panel("returns", "Return of each episode (a click shows it)", returns, (x) => show({ episode: x - 1, step: Infinity })),
    ...run.blocks.map((block, i) => ({
      ...panel("belief", "", (r, place, look) => belief(r, block, place, look)), block: i,
    })),
    ...(run.blocks.length ? [panel("nats", "What each block has learned: KL to the prior", nats)] : []),
  ];
  side.append(panels);
  return { run, side, panels: made };
}

let sides = [];

function rebuild() {
  sides = shownRuns().map(makeSide);
  control("sides").replaceChildren(...sides.map((one) => one.side));
}

function sentence(run, place) {
  const value = at(run.returns, place.seed, place.task, place.episode);
  const seen = place.episode === 1 ? "1 episode" : `${place.episode} episodes`;
  const belief = run.acts_on_z ? `z from the posterior given ${seen}` : `${seen} seen`;
  const from = place.episode >= run.prior ? belief : run.acts_on_z ? "z from the prior" : "nothing seen";
  const bound = run.oracle ? ` (oracle ${at(run.oracle, place.seed, place.task).toFixed(2)})` : "";
  return `Episode ${place.episode + 1}: ${from}; return ${value.toFixed(2)}${bound}.`;
}

function headBlock(panel, run, place) {
  const block = run.blocks[panel.block];
  const value = at(run.kl, place.seed, place.task, place.episode)[panel.block];
  const last = at(run.kl, place.seed, place.task, run.episodes - 1)[panel.block];
  const unused = last < run.used;
  panel.heading.textContent = `Belief of ${block.name}: ${value.toFixed(2)} nats${unused ? " (says nothing of the task)" : ""}`;
  panel.box.classList.toggle("unused", unused);
}

/* Draws what is shown; of a new step alone, the paths. */
function draw(stepOnly) {
  const look = theme();
  const spanOf = (env) => extent(shownRuns().filter((run) => run.env === env).flatMap((run) => returnsShown(run, placeIn(run))));
  for (const { run, side, panels } of sides) {
    const place = placeIn(run), span = spanOf(run.env); /* returns of one environment are comparable */
    side.querySelector("p").textContent = sentence(run, place);
    for (const panel of panels) {
      if (panel.block !== undefined) headBlock(panel, run, place);
      if (stepOnly && panel.name !== "world") continue;
      const { data, layout } = panel.draw(run, place, look, span);
      Plotly.react(panel.chart, data, layout, { displayModeBar: false, responsive: true });
      if (panel.onClick && !panel.listens) {
        panel.chart.on("plotly_click", (event) => panel.onClick(event.points[0].x));
        panel.listens = true;
      }
    }
  }
  const last = lastStep(state.episode), stride = shownRuns()[0].stride;
  for (const [name, most] of [["episode", lastEpisode()], ["step", last]]) {
    control(name).max = most;
    control(name).value = state[name];
  }
  control("episode-said").textContent = `${state.episode + 1} of ${lastEpisode() + 1}`;
  control("step-said").textContent = `${state.step * stride} of ${last * stride}`;
}

let asked = null; /* changes since the last frame */

function show(change) {
  const before = { ...state };
  Object.assign(state, change);
  state.episode = clamp(Math.round(state.episode), lastEpisode());
  state.step = clamp(state.step, lastStep(state.episode));
  const other = ["run", "beside", "seed", "task", "episode"].some((name) => before[name] !== state[name]);
  if (before.run !== state.run || before.beside !== state.beside) rebuild();
  const first = asked === null;
  asked = { stepOnly: !other && (first || asked.stepOnly) };
  if (first) {
    requestAnimationFrame(() => {
      const { stepOnly } = asked;
      asked = null;
      draw(stepOnly);
    });
  }
}

function move(steps) {
  const step = state.step + steps;
  if (step < 0 && state.episode > 0) show({ episode: state.episode - 1, step: Infinity });
  else if (step > lastStep(state.episode) && state.episode < lastEpisode()) show({ episode: state.episode + 1, step: 0 });
  else show({ step });
}

function atEnd() {
  return state.episode === lastEpisode() && state.step >= lastStep(state.episode);
}

function play(wanted) {
  clearInterval(state.playing);
  state.playing = null;
  if (wanted) {
    if (atEnd()) show({ episode: 0, step: 0 });
    state.playing = setInterval(() => (atEnd() ? play(false) : move(1)), FRAME);
  }
  control("play").textContent = wanted ? "pause" : "play";
  control("play").setAttribute("aria-pressed", String(wanted));
}

const KEYS = {
  ArrowRight: () => move(1),
  ArrowLeft: () => move(-1),
  ArrowUp: () => show({ episode: state.episode + 1, step: Infinity }),
  ArrowDown: () => show({ episode: state.episode - 1, step: Infinity }),
  " ": () => play(state.playing === null),
};

/* Whether what has the focus has a use of its own for a key. */
function isItsOwn({ target, key }) {
  const tag = target.tagName;
  return tag === "SELECT" || (tag === "INPUT" && key !== " ") || (tag === "BUTTON" && key === " ");
}

function options(id, names, chosen) {
  control(id).replaceChildren(...names.map(([text, value]) => Object.assign(element("option", text), { value })));
  control(id).value = chosen;
}

function taskName(run, i) {
  const value = run.label_name ? ` (${run.label_name} ${at(run.label, 0, i).toPrecision(3)})` : "";
  return `${run.tasks[i] + 1}${value}`;
}

function fillControls() {
  const names = runs.map((run, i) => [run.name, i]);
  options("run", names, state.run);
  options("beside", [["nothing", ""], ...names], state.beside === null ? "" : state.beside);
  const widest = (name) => shownRuns().reduce((a, b) => (b[name].length > a[name].length ? b : a));
  options("seed", widest("seeds").seeds.map((seed, i) => [seed, i]), state.seed);
  const run = widest("tasks");
  options("task", run.tasks.map((_, i) => [taskName(run, i), i]), state.task);
}

function listen() {
  for (const name of ["run", "beside", "seed", "task"]) {
    control(name).addEventListener("change", ({ target }) => {
      show({ [name]: target.value === "" ? null : Number(target.value) });
      fillControls();
    });
  }
  control("episode").addEventListener("input", ({ target }) => show({ episode: Number(target.value), step: Infinity }));
  control("step").addEventListener("input", ({ target }) => show({ step: Number(target.value) }));
  control("play").addEventListener("click", () => play(state.playing === null));
  document.addEventListener("keydown", (event) => {
    if (!KEYS[event.key] || isItsOwn(event) || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    KEYS[event.key]();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => draw(false));
}

rebuild();
fillControls();
listen();
state.episode = lastEpisode();
state.step = lastStep(state.episode);
draw(false);
