"use strict";

const count = (n) => Array.from({ length: n }, (_, i) => i + 1);

/* A line at the episode that is shown. */
function nowLine(episode, look) {
  return { type: "line", x0: episode + 1, x1: episode + 1, yref: "paper", y0: 0, y1: 1, line: { color: look.ink, width: 1.5, dash: "dot" } };
}

/* All that the panel of returns shows of a run. */
function returnsShown(run, { seed, task }) {
  const oracle = run.oracle ? [at(run.oracle, seed, task)] : [];
  return [...at(run.returns, seed, task), at(run.floor, seed, task), ...oracle, 0];
}

/* Return of every episode; a click on one shows it. `span` is what runs side by side have in common. */
function returns(run, { seed, task, episode }, look, span) {
  const y = at(run.returns, seed, task);
  const x = count(y.length);
  const data = [{
    type: "bar", x, y, name: "return", hoverinfo: "x+y",
    marker: {
      color: x.map((_, e) => (e < run.prior ? look.prior : look.posterior)),
      opacity: x.map((_, e) => (e === episode ? 1 : 0.5)),
    },
  }];
  const level = (value, name, dash) => data.push({
    x: [0.4, y.length + 0.6], y: [value, value], mode: "lines+text", text: [name, ""], textposition: "top right",
    textfont: { size: 10, color: look.ink }, name, line: { color: look.ink, width: 1.2, dash }, hoverinfo: "name+y",
  });
  if (run.oracle) level(at(run.oracle, seed, task), "oracle", "dash");
  level(at(run.floor, seed, task), "untrained", "dot");
  return { data, layout: layout(look, 190, {
    xaxis: axis(look, "episode", { range: [0.4, y.length + 0.6], showgrid: false }),
    yaxis: axis(look, "return", { range: margined(span) }), bargap: 0.2,
  }) };
}

function margined([low, high]) {
  const margin = 0.08 * (high - low || 1);
  return [low < 0 ? low - margin : low, high + 2 * margin]; /* above a line stands its name */
}

/* KL of each block's posterior to its prior, before every episode. */
function nats(run, { seed, task, episode }, look) {
  const values = at(run.kl, seed, task);
  const x = count(values.length);
  const data = run.blocks.map((block, i) => ({
    x, y: column(values, i), mode: "lines+markers", name: plain(block.name), marker: { size: 5, symbol: i }, line: { color: colour(i), width: 2 },
  }));
  return { data, layout: layout(look, 200, {
    shapes: [nowLine(episode, look)], ...legend(),
    xaxis: axis(look, "episode", { range: [0.4, values.length + 0.6] }),
    yaxis: axis(look, "nats", { rangemode: "tozero" }),
  }) };
}
