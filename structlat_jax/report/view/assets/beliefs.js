"use strict";

const CORNERS = [[0, 1], [0.866, -0.5], [-0.866, -0.5]];

/* What a block of z is believed to be before an episode, beside the prior and the z acted on. */
function beliefOf(run, block, { seed, task, episode }) {
  const own = (array, e) => at(array, seed, task, e).slice(block.start, block.start + block.variables * block.size);
  return {
    mean: own(run.belief, episode), z: run.z ? own(run.z, episode) : null,
    spread: run.spread ? own(run.spread, episode) : null,
    history: Array.from({ length: episode + 1 }, (_, e) => own(run.belief, e)),
  };
}

function belief(run, block, place, look) {
  const known = beliefOf(run, block, place);
  if (block.kind === "simplex" && block.size === 3) return triangles(block, known, look);
  return block.kind === "simplex" ? bars(block, known, look) : intervals(block, known, look);
}

/* Names of the numbers of a block: class or number, and the variable where there are several. */
function numbersOf(block) {
  return Array.from({ length: block.variables * block.size }, (_, i) => {
    const variable = Math.floor(i / block.size) + 1, own = (i % block.size) + 1;
    if (block.size === 1) return `${variable}`;
    return block.variables === 1 ? `${own}` : `${variable}.${own}`;
  });
}

function bars(block, known, look) {
  const x = numbersOf(block);
  return {
    data: [
      {
        type: "bar", x, y: known.mean, name: "posterior", marker: { color: x.map((_, i) => colour(i % block.size)) },
        error_y: known.spread ? { array: known.spread, color: look.ink, thickness: 1.2, width: 3 } : undefined,
      },
      marks(x, block.prior.mean, "prior", { symbol: "line-ew-open", size: 16, color: look.ink, line: { width: 2 } }),
      ...actedOn(x, known.z, { symbol: "diamond-open", size: 10, color: look.ink, line: { width: 2 } }),
    ],
    layout: layout(look, 210, {
      xaxis: axis(look, block.variables > 1 ? "variable.class" : "class", { type: "category", showgrid: false }),
      yaxis: axis(look, "weight", { range: [-0.03, 1.05] }), ...legend(),
    }),
  };
}

function intervals(block, known, look) {
  const x = numbersOf(block);
  const { mean, spread } = block.prior;
  const high = 1.1 * Math.max(2, extent([known.mean, known.z ?? []].flat().map(Math.abs))[1]);
  return {
    data: [
      {
        type: "bar", x, y: spread.map((s) => 2 * s), base: mean.map((m, i) => m - spread[i]), name: "prior",
        marker: { color: look.faint, opacity: 0.5 }, width: 0.5, hoverinfo: "name",
      },
      {
        ...marks(x, known.mean, "posterior", { size: 9, color: x.map((_, i) => colour(i)) }),
        error_y: known.spread ? { array: known.spread, color: look.ink, thickness: 2, width: 5 } : undefined,
      },
      ...actedOn(x, known.z, { symbol: "diamond-open", size: 10, color: look.ink, line: { width: 2 } }),
    ],
    layout: layout(look, 210, {
      xaxis: axis(look, block.size > 1 ? "variable.number" : "number", { type: "category", showgrid: false }),
      yaxis: axis(look, "value", { range: [-high, high] }), ...legend(),
    }),
  };
}

function marks(x, y, name, marker) {
  return { type: "scatter", mode: "markers", x, y, name, marker };
}

/* Nothing, where the agent acts on the belief itself. */
function actedOn(x, z, marker) {
  return z ? [marks(x, z, "z acted on", marker)] : [];
}

/* A triangle per variable: where the belief has been and is. */
function triangles(block, known, look) {
  const data = [], annotations = [];
  for (let v = 0; v < block.variables; v += 1) {
    const shift = 2.3 * v;
    const put = (weights) => [0, 1].map((i) => weights.reduce((sum, w, k) => sum + w * CORNERS[k][i], i ? 0 : shift));
    const own = (values) => put(values.slice(3 * v, 3 * v + 3));
    const trace = (points, name, more) => data.push({
      x: column(points, 0), y: column(points, 1), name, hoverinfo: "name", showlegend: v === 0, legendgroup: name, ...more,
    });
    const corners = [0, 1, 2, 0].map((k) => put([0, 1, 2].map((j) => (j === k ? 1 : 0))));
    trace(corners, "simplex", { mode: "lines", line: { color: look.faint, width: 1.5 }, showlegend: false });
    corners.slice(0, 3).forEach(([x, y], k) => annotations.push({ x: shift + 1.13 * (x - shift), y: 1.13 * y, text: `${k + 1}`, showarrow: false }));
    trace([own(block.prior.mean)], "prior", { mode: "markers", marker: { symbol: "cross-thin-open", size: 11, color: look.ink, line: { width: 2 } } });
    trace(known.history.map(own), "posterior so far", { mode: "lines+markers", line: { color: look.posterior, width: 1.5 }, marker: { size: 4 } });
    trace([own(known.mean)], "posterior", { mode: "markers", marker: { size: 14, color: look.posterior } });
    if (known.z) trace([own(known.z)], "z acted on", { mode: "markers", marker: { symbol: "diamond-open", size: 10, color: look.ink, line: { width: 2 } } });
  }
  const hidden = { visible: false, fixedrange: true };
  return { data, layout: layout(look, 250, {
    annotations, ...legend(),
    xaxis: { ...hidden, range: [-1.1, 2.3 * block.variables - 1.2] }, yaxis: { ...hidden, range: [-0.75, 1.25], scaleanchor: "x" },
  }) };
}
