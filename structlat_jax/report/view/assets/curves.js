"use strict";

const MOST_POINTS = 600; /* of a line: more than a panel has columns of pixels are drawn in vain */
const MOST_COLOURS = 8;

/* Every k-th of many, and the last. */
function thinned(points) {
  const stride = Math.ceil(points.length / MOST_POINTS);
  return points.filter((_, i) => i % stride === 0 || i === points.length - 1);
}

function mean(values) {
  const known = values.filter((value) => value !== null);
  return known.length ? known.reduce((a, b) => a + b, 0) / known.length : null;
}

const seedColour = (i) => colour(i % MOST_COLOURS);

/* A metric against updates: a line per seed, and over several the mean of those that have it. */
function curve(name, points, seeds, look) {
  const shown = thinned(points.filter((point) => name in point.metrics));
  const x = shown.map((point) => point.updates);
  const few = shown.length < 30;
  const line = (y, label, style) => ({
    x, y, name: label, mode: few ? "lines+markers" : "lines", line: style, marker: { size: 5 }, hoverinfo: "x+y+name",
  });
  const data = seeds.map((seed, i) => line(
    shown.map((point) => point.metrics[name][i]), `seed ${seed}`, { color: seedColour(i), width: seeds.length > 1 ? 1.2 : 2 },
  ));
  if (seeds.length > 1) data.push(line(shown.map((point) => mean(point.metrics[name])), "mean", { color: look.ink, width: 2 }));
  return { data, layout: layout(look, 220, { xaxis: axis(look, "updates", { rangemode: "tozero" }), yaxis: axis(look, "") }) };
}

/* Returns on test tasks, from knowing nothing to having seen all earlier episodes. */
const STAGES = [
  ["floor_return", "untrained"], ["test_prior_return", "prior<br>episodes"], ["test_first_posterior_return", "first<br>posterior"],
  ["test_return", "last<br>episode"], ["oracle_return", "oracle"],
];

function stages(point, seeds, look) {
  const known = STAGES.filter(([name]) => name in point.metrics);
  const x = known.map(([, label]) => label);
  const data = [{
    type: "bar", x, y: known.map(([name]) => mean(point.metrics[name])), name: "mean", hoverinfo: "y+name",
    marker: { color: known.map(([name]) => (name === "test_prior_return" ? look.prior : name.startsWith("test") ? look.posterior : look.faint)), opacity: 0.6 },
  }];
  if (seeds.length > 1) {
    seeds.forEach((seed, i) => data.push({
      type: "scatter", mode: "markers", x, y: known.map(([name]) => point.metrics[name][i]), name: `seed ${seed}`, hoverinfo: "y+name",
      marker: { size: 8, color: seedColour(i), line: { width: 1, color: look.card } },
    }));
  }
  return { data, layout: layout(look, 240, { xaxis: axis(look, "", { showgrid: false }), yaxis: axis(look, "return"), bargap: 0.4 }) };
}
