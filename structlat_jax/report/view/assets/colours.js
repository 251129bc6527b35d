"use strict";

/* Okabe and Ito's colours, which readers with any colour vision can tell apart. */
const PALETTE = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#B8A800", "#888888"];
const REWARD = [[0, "#7a0177"], [0.5, "#f768a1"], [1, "#fde0dd"]];

const colour = (i) => PALETTE[i % PALETTE.length];

/* The page's own colours, light or dark. */
function theme() {
  const style = getComputedStyle(document.documentElement);
  const names = ["paper", "card", "ink", "soft", "faint", "prior", "posterior"];
  return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

/* A name as text: the plotting library reads some markup in what it writes. */
function plain(text) {
  return String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

function axis(look, name, more) {
  return {
    fixedrange: true, zeroline: false, title: { text: name, standoff: 6, font: { size: 12 } }, gridcolor: look.faint, linecolor: look.faint,
    tickfont: { size: 12 }, automargin: true, ...more,
  };
}

function layout(look, height, more) {
  return {
    height, paper_bgcolor: look.card, plot_bgcolor: look.card, dragmode: false, hovermode: "closest",
    font: { color: look.ink, size: 13, family: "system-ui, sans-serif" },
    margin: { l: 44, r: 12, t: 8, b: 40 }, showlegend: false, ...more,
  };
}

/* A legend above the axes, in so many pixels. */
function legend(pixels = 30) {
  return {
    showlegend: true, margin: { l: 44, r: 12, t: pixels, b: 40 },
    legend: { orientation: "h", y: 1.01, yanchor: "bottom", font: { size: 11 } },
  };
}
