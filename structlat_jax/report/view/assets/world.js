"use strict";

/* What happened: paths in a plane, or numbers of the observation against time. */
function world(run, place, look) {
  return run.path ? inPlane(run, place, look) : overTime(run, place, look);
}

/* Rewards of an episode's steps, and whether most steps of the task pay exactly nothing. */
function rewardsOf(run, { seed, task, episode }) {
  if (!run.reward) return null;
  const every = at(run.reward, seed, task).flat();
  const paid = every.filter((r) => r !== 0);
  const [low, high] = extent(paid);
  return {
    now: at(run.reward, seed, task, episode), sparse: paid.length < every.length / 2,
    low, high,
  };
}

function rewardMarkers(rewards, upTo) {
  const shown = rewards.now.slice(0, upTo);
  return {
    steps: shown.map((r, i) => i).filter((i) => !rewards.sparse || shown[i] !== 0),
    style: (steps) => ({
      size: 10, color: steps.map((i) => shown[i]), cmin: rewards.low, cmax: rewards.high,
      colorscale: REWARD, line: { width: 1, color: "#7a0177" },
    }),
  };
}

function column(points, i) {
  return points.map((p) => p[i]);
}

/* Several paths as one line with gaps. */
function joined(paths) {
  return paths.flatMap((path) => [...path, [null, null]]);
}

function inPlane(run, place, look) {
  const { seed, task, episode, step } = place;
  const paths = at(run.path, seed, task);
  const data = [];
  const line = (points, name, style, more) => data.push({
    x: column(points, 0), y: column(points, 1), name, mode: "lines", line: style, hoverinfo: "name", ...more,
  });
  if (run.plane.outline) line(run.plane.outline, "outline", { color: look.faint, width: 1 }, { showlegend: false });
  const before = paths.slice(0, episode);
  line(joined(before.slice(0, run.prior)), "earlier, prior", { color: look.prior, width: 1, dash: "dot" });
  line(joined(before.slice(run.prior)), "earlier, posterior", { color: look.posterior, width: 1 });
  data.push(...leadsInPlane(run, place, look));
  const now = paths[episode].slice(0, step + 1);
  line(now, "this episode", { color: look.ink, width: 3 });
  const rewards = rewardsOf(run, place);
  if (rewards) {
    const { steps, style } = rewardMarkers(rewards, step);
    data.push({
      x: steps.map((i) => now[i + 1][0]), y: steps.map((i) => now[i + 1][1]), mode: "markers",
      name: "rewards met", marker: style(steps), text: steps.map((i) => `reward ${rewards.now[i].toPrecision(3)}`),
      hoverinfo: "text",
    });
  }
  const [head] = now.slice(-1);
  data.push({
    x: [head[0]], y: [head[1]], mode: "markers", name: "now", hoverinfo: "name", showlegend: false,
    marker: { size: 13, symbol: "circle-open", color: look.ink, line: { width: 3 } },
  });
  const shapes = [];
  if (run.mark) {
    const [x, y] = at(run.mark, seed, task);
    const r = run.plane.disc;
    if (r) shapes.push({ type: "circle", x0: x - r, x1: x + r, y0: y - r, y1: y + r, fillcolor: "#009E73", opacity: 0.25, line: { width: 0 } });
    data.push({ x: [x], y: [y], mode: "markers", name: "goal", hoverinfo: "name", marker: { symbol: "x", size: 10, color: "#009E73" } });
  }
  const box = boxOf(run, place, paths);
  const units = run.plane.units ? ` (${plain(run.plane.units)})` : "";
  return { data, layout: layout(look, 440, {
    shapes,
    ...legend(60),
    xaxis: axis(look, `x${units}`, { range: box[0] }),
    yaxis: axis(look, `y${units}`, { range: box[1], scaleanchor: "x" }),
  }) };
}

/* The ranges of both axes: all that any episode of the task shows, so that nothing jumps. */
function boxOf(run, { seed, task }, paths) {
  const points = [...paths.flat(), ...(run.plane.outline || [])];
  if (run.mark) points.push(at(run.mark, seed, task));
  return [0, 1].map((i) => {
    const [low, high] = extent(column(points, i));
    const margin = run.plane.disc + 0.06 * (high - low || 1);
    return [low - margin, high + margin];
  });
}

/* Where hypotheses lead; the more probable a group of them, the larger its disc. */
function leadsInPlane(run, { seed, task, episode }, look) {
  if (!run.leads) return [];
  const points = at(run.leads, seed, task);
  const weight = at(run.weight, seed, task, episode);
  if (!weight.every(Number.isFinite)) return [];
  return [{
    x: column(points, 0), y: column(points, 1), mode: "markers", name: "hypotheses",
    text: weight.map((w) => `hypotheses of ${(100 * w).toFixed(1)} %`), hoverinfo: "text",
    marker: { size: weight.map(discSize), color: look.posterior, opacity: 0.35, line: { width: 0 } },
  }];
}

const discSize = (weight) => 2 + 36 * Math.sqrt(weight);

function overTime(run, place, look) {
  const { seed, task, episode, step } = place;
  const traces = at(run.traces, seed, task);
  const rewards = rewardsOf(run, place);
  const rows = run.columns.length + (rewards ? 1 : 0);
  const data = [], axes = {};
  const put = (row, x, y, name, style, more) => data.push({
    x, y, name, xaxis: "x", yaxis: row ? `y${row + 1}` : "y", mode: "lines", line: style, hoverinfo: "x+y", ...more,
  });
  const steps = traces[0].map((_, i) => i * run.stride);
  run.columns.forEach((number, row) => {
    const values = (e) => traces[e].map((obs) => obs[row]);
    for (let e = 0; e < episode; e += 1) {
      put(row, steps, values(e), "earlier", { color: e < run.prior ? look.prior : look.posterior, width: 0.7 }, { opacity: 0.45, hoverinfo: "skip" });
    }
    put(row, steps.slice(0, step + 1), values(episode).slice(0, step + 1), "this episode", { color: look.ink, width: 2.5 });
    const range = rangeOf(traces.map((_, e) => values(e)).flat());
    const led = leadsOverTime(run, place, row).filter(({ y }) => y >= range[0] && y <= range[1]);
    put(row, led.map(() => steps[steps.length - 1]), led.map(({ y }) => y), "hypotheses", {}, {
      mode: "markers", marker: { size: led.map(({ weight }) => discSize(weight)), color: look.posterior, opacity: 0.35, line: { width: 0 } },
    });
    axes[row ? `yaxis${row + 1}` : "yaxis"] = rowAxis(look, row, rows, `obs ${number}`, range);
  });
  if (rewards) {
    const row = rows - 1;
    put(row, steps.slice(1, step + 1), rewards.now.slice(0, step), "rewards met", { color: "#CC79A7", width: 2.5, shape: "vh" });
    axes[`yaxis${row + 1}`] = rowAxis(look, row, rows, "reward");
  }
  return { data, layout: layout(look, 60 + 95 * rows, {
    ...axes, xaxis: axis(look, "step", { range: [0, 1.06 * steps[steps.length - 1]], anchor: rows > 1 ? `y${rows}` : "y" }),
  }) };
}

/* What all episodes of the task show: nothing jumps, and a hypothesis that leads out of the world is not shown in place of it. */
function rangeOf(values) {
  const [low, high] = extent(values);
  const margin = 0.15 * (high - low || 1);
  return [low - margin, high + margin];
}

function rowAxis(look, row, rows, name, range) {
  const domain = [1 - (row + 0.88) / rows, 1 - row / rows];
  return axis(look, name, { domain, nticks: 4, ...(range ? { range } : {}) });
}

function leadsOverTime(run, { seed, task, episode }, row) {
  if (!run.leads) return [];
  const weight = at(run.weight, seed, task, episode);
  if (!weight.every(Number.isFinite)) return [];
  return column(at(run.leads, seed, task), row).map((y, i) => ({ y, weight: weight[i] }));
}
