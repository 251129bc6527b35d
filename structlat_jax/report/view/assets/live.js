"use strict";

const AGAIN = 3000; /* milliseconds between two tries to reach a program that has gone */
const REST = 9, LONGEST = 10000; /* a pause of so many times what drawing took, and at most so long:
  the processor is training's */
const ALWAYS = /^(test_return|train_return|kl .*)$/; /* metrics that are shown at first */
const FIRST = 3; /* and of the others so many: an algorithm names its losses first */

const told = { history: null, next: 0, seeds: [], points: new Map(), ended: false };
const panels = new Map(); /* by metric: its box of the list, and its chart */

/* A later point of the same updates says more, or the same. */
function learn(item) {
  if (item.seeds) {
    told.seeds = item.seeds;
    showNames(item.name);
  } else if (item.metrics) {
    told.points.set(item.updates, item);
    Object.keys(item.metrics).forEach(addMetric);
  } else if ("said" in item) {
    control("said").append(element("li", item.said));
  } else if ("end" in item) {
    told.ended = true;
    if (item.end !== null) offer(item.end);
  }
}

function showNames(name) {
  if (name) document.title = control("title").textContent = `Training ${name}`;
  const shown = told.seeds.slice(0, MOST_COLOURS).map((seed, i) => [`seed ${seed}`, seedColour(i)]);
  if (told.seeds.length > 1) shown.push(["mean", "var(--ink)"]);
  control("key").replaceChildren(...shown.map(([text, line]) => {
    const made = element("span", text);
    made.style.setProperty("--line", line);
    return made;
  }));
  if (told.seeds.length > MOST_COLOURS) control("key").append(`and ${told.seeds.length - MOST_COLOURS} more seeds, in the same colours`);
}

/* The page of the finished run, which stays when the program has gone. */
function offer(html) {
  control("view").href = URL.createObjectURL(new Blob([html], { type: "text/html" }));
  control("view").hidden = false;
}

/* A metric that is new: its place in the list and among the panels, returns first, then nats. */
function addMetric(name) {
  if (name === "seconds" || panels.has(name)) return;
  const others = [...panels.keys()].filter((known) => !ALWAYS.test(known)).length;
  const box = Object.assign(element("input"), { type: "checkbox", checked: ALWAYS.test(name) || others < FIRST });
  const label = element("label");
  label.append(box, name);
  const panel = element("section");
  const chart = element("div");
  panel.append(element("h3", name), chart);
  panels.set(name, { box, panel, chart });
  const rank = (one) => (one.startsWith("kl ") ? 1 : ALWAYS.test(one) ? 0 : 2);
  const [after] = [...panels.keys()].filter((one) => rank(one) > rank(name)).sort((a, b) => rank(a) - rank(b));
  control("metrics").insertBefore(label, after ? panels.get(after).box.parentElement : null);
  control("curves").insertBefore(panel, after ? panels.get(after).panel : null);
  box.addEventListener("change", draw);
}

let waiting = false, rested = 0;

/* Draws in the next frame; there is none while nobody looks. */
function draw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    const begin = performance.now();
    drawAll([...told.points.values()], theme());
    rested = performance.now() + Math.min(LONGEST, REST * (performance.now() - begin));
  });
}

function drawAll(points, look) {
  const put = (place, { data, layout }) => Plotly.react(place, data, layout, { displayModeBar: false, responsive: true });
  for (const [name, { box, panel, chart }] of panels) {
    panel.hidden = !box.checked;
    if (box.checked) put(chart, curve(name, points, told.seeds, look));
  }
  const evaluated = points.filter((point) => "test_return" in point.metrics).pop();
  control("evaluation").hidden = !evaluated;
  if (evaluated) {
    const value = mean(evaluated.metrics.test_return);
    const share = mean(evaluated.metrics.percent_of_oracle || []);
    const shown = value === null ? "no seed is finite" : `return of the last episode on test tasks ${value.toFixed(2)}`;
    control("evaluation-said").textContent = `After ${evaluated.updates.toLocaleString("en")} updates: ${shown}${share === null ? "" : ` (${share.toFixed(0)} % of the oracle)`}.`;
    put(control("stages"), stages(evaluated, told.seeds, look));
  }
}

function say(text, over) {
  const last = [...told.points.values()].pop();
  const seconds = last && last.metrics.seconds ? ` in ${Math.round(mean(last.metrics.seconds)).toLocaleString("en")} s` : "";
  control("status").textContent = last ? `${last.updates.toLocaleString("en")} updates${seconds}; ${text}` : text;
  control("status").classList.toggle("over", over);
}

async function ask() {
  const answer = await fetch(`news?since=${told.next}`, { cache: "no-store" });
  if (!answer.ok) throw new Error(answer.statusText);
  const { history, items, next } = await answer.json();
  if (told.history !== null && told.history !== history) {
    location.reload(); /* it is another program's */
    return false;
  }
  told.history = history;
  told.next = next;
  items.forEach(learn);
  return items.length > 0;
}

/* The program answers when it is time, so that asking again at once is no hurry. */
async function listen() {
  let stale = false;
  while (!told.ended) {
    try {
      stale = (await ask()) || stale;
      if (stale && performance.now() > rested) {
        stale = false;
        draw();
      }
      say(told.points.size ? "training goes on" : "the program compiles", false);
    } catch {
      draw();
      say("the program does not answer any more: it has ended, or cannot be reached from here. What it told stays.", true);
      await new Promise((resolve) => setTimeout(resolve, AGAIN));
    }
  }
  draw();
  say("training has ended. What is shown stays.", true);
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
listen();
