"use strict";
// Puts drawings that can be searched in the place of pictures. Where anything that it needs is missing, the page stays
// as it is: it says everything without a script too.
(() => {
  const ZERO = 65534, ABSENT = 65535;
  const MOST_TICKS = 24, LONGEST_TICK = 20;
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  // plotly takes some tags for markup, and names are names.
  const plain = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  for (const button of all(".copy")) {
    if (!navigator.clipboard) break;
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.previousElementSibling.textContent);
      button.textContent = "copied";
      setTimeout(() => { button.textContent = "copy"; }, 1500);
    });
  }
  const details = all("details");
  addEventListener("beforeprint", () => details.forEach((each) => { each.dataset.was = each.open; each.open = true; }));
  addEventListener("afterprint", () => details.forEach((each) => { each.open = each.dataset.was === "true"; }));

  async function unpacked(id) {
    const text = atob(document.getElementById(id).textContent);
    const bytes = new Uint8Array(text.length);
    for (let at = 0; at < text.length; at += 1) bytes[at] = text.charCodeAt(at);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).arrayBuffer();
  }

  function loadLibrary(body) {
    const script = document.createElement("script");
    script.textContent = new TextDecoder().decode(body);
    document.head.append(script);
    return window.Plotly;
  }

  function digits(value) {
    return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
  }

  function valueWords(figure, value) {
    if (figure === "loss") return value === 0 ? "none lost" : `${value.toExponential(1)} lost`;
    if (figure === "bandwidth") return `${digits(value)} Gb/s`;
    const [scale, unit] = [[1e9, "s"], [1e6, "ms"], [1e3, "µs"], [1, "ns"]].find(([each]) => value >= each) || [1, "ns"];
    return `${digits(value / scale)} ${unit}`;
  }

  function againstTypical(map, value) {
    if (map.typical === null) return "";
    const ratio = value / map.typical;
    return map.figure === "bandwidth" ? ` (${(100 * ratio).toFixed(0)} % of typical)` : ` (${ratio.toFixed(2)} × typical)`;
  }

  const base = (extra) => ({
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: style("--quiet") },
    ...extra,
  });
  const config = { displaylogo: false, responsive: true, modeBarButtons: [["zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"], ["toImage"]] };

  // ---- maps

  function ticks(names, from, to) {
    const low = Math.max(0, Math.ceil(Math.min(from, to))), high = Math.min(names.length - 1, Math.floor(Math.max(from, to)));
    const step = Math.max(1, Math.ceil((high - low + 1) / MOST_TICKS));
    const tickvals = [];
    for (let at = Math.ceil(low / step) * step; at <= high; at += step) tickvals.push(at);
    const short = (name) => (name.length <= LONGEST_TICK ? name : `${name.slice(0, LONGEST_TICK - 1)}…`);
    return { tickmode: "array", tickvals, ticktext: tickvals.map((at) => plain(short(names[at]))) };
  }

  const blocks = new Map();  // taken apart once, when they are first drawn

  async function prepared(words, map, view) {
    const axis = words.axes[view], grid = map.views[view], order = axis.order;
    if (!blocks.has(grid.block)) blocks.set(grid.block, await unpacked(`block-${grid.block}`));
    const buffer = blocks.get(grid.block), count = axis.names.length, last = words.levels - 1;
    const codes = new Uint16Array(buffer, 0, count * count), levels = new Uint8Array(buffer, 2 * count * count);
    const place = order ? (at) => order[at] : (at) => at;
    const z = [];
    for (let row = 0; row < count; row += 1) {
      const line = new Float32Array(count), start = place(row) * count;
      for (let column = 0; column < count; column += 1) {
        const level = levels[start + place(column)];
        line[column] = level > last ? NaN : level / last;
      }
      z.push(line);
    }
    const value = (row, column) => {
      const code = codes[place(row) * count + place(column)];
      return code === ABSENT ? null : code === ZERO ? 0 : Math.exp(grid.low + code * grid.step);
    };
    return { z, value, names: order ? axis.names.map((_, at) => axis.names[order[at]]) : axis.names };
  }

  async function drawMap(words, figure, map, view, isWanted) {
    const plot = figure.querySelector(".plot"), readout = figure.querySelector(".readout");
    const { z, value, names } = await prepared(words, map, view);
    if (!isWanted()) return;
    const palette = words.palette, count = names.length, gap = count <= 64 ? 1 : 0;
    const side = Math.min(plot.parentElement.clientWidth || 700, 700, 200 + 60 * count);
    const axis = () => ({
      ...ticks(names, -0.5, count - 0.5), showgrid: false, zeroline: false, constrain: "domain",
      linecolor: style("--line"), mirror: true, showline: true, ticks: "",
    });
    const trace = {
      type: "heatmap", z, zmin: 0, zmax: 1, showscale: false, hoverinfo: "none", hoverongaps: true, xgap: gap, ygap: gap,
      colorscale: palette.map((colour, at) => [at / (palette.length - 1), colour]),
    };
    const layout = base({
      height: side, width: side, margin: { l: 120, r: 10, t: 30, b: 110 }, dragmode: "zoom",
      xaxis: { ...axis(), range: [-0.5, count - 0.5], tickangle: count > 8 ? -60 : 0 },
      yaxis: { ...axis(), range: [count - 0.5, -0.5], scaleanchor: "x" },
    });
    await Plotly.react(plot, [trace], layout, { ...config, responsive: false });
    plot.removeAllListeners?.("plotly_hover");
    plot.removeAllListeners?.("plotly_relayout");
    plot.on("plotly_hover", ({ points: [point] }) => {
      const [row, column] = [Math.round(point.y), Math.round(point.x)];
      const there = value(row, column), back = row === column || !map.directed ? null : value(column, row);
      const told = there === null ? "not measured" : valueWords(map.figure, there) + againstTypical(map, there);
      const wayBack = back === null ? "" : `; the way back ${valueWords(map.figure, back)}`;
      readout.textContent = `${names[row]} → ${names[column]}: ${told}${wayBack}`;
    });
    let isOurs = false;
    plot.on("plotly_relayout", () => {
      if (isOurs) { isOurs = false; return; }
      isOurs = true;
      const { xaxis, yaxis } = plot.layout, update = {};
      for (const [name, of] of [["xaxis", xaxis], ["yaxis", yaxis]]) {
        const { tickvals, ticktext } = ticks(names, of.range[0], of.range[1]);
        update[`${name}.tickvals`] = tickvals;
        update[`${name}.ticktext`] = ticktext;
      }
      Plotly.relayout(plot, update);
    });
  }

  function showMaps(words) {
    const section = document.getElementById("pairs");
    if (!section || !words.maps) return async () => {};
    const figures = all("figure.map", section), tabs = all(".tabs button", section), views = section.querySelector(".views");
    const state = { map: 0, view: 0 };
    const buttons = words.axes.map((axis, at) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = axis.name;
      button.addEventListener("click", () => { state.view = at; draw(); });
      views.append(button);
      return button;
    });
    const draw = () => {
      figures.forEach((figure, at) => figure.classList.toggle("aside", at !== state.map));
      tabs.forEach((tab, at) => tab.setAttribute("aria-pressed", at === state.map));
      const has = words.maps[state.map].views.map((grid) => grid !== null);
      if (!has[state.view]) state.view = Math.max(0, has.indexOf(true));
      buttons.forEach((button, at) => {
        button.setAttribute("aria-pressed", at === state.view);
        button.disabled = !has[at];
        button.title = has[at] ? "" : "too large for one page beside the other maps";
      });
      const figure = figures[state.map];
      const { map, view } = state;
      const isWanted = () => map === state.map && view === state.view;
      return has[view] ? drawMap(words, figure, words.maps[map], view, isWanted) : undefined;
    };
    tabs.forEach((tab, at) => tab.addEventListener("click", () => { state.map = at; draw(); }));
    for (const figure of figures) {
      if (buttons.length) figure.classList.add("drawn");
      for (const each of all(".plot, .readout", figure)) each.hidden = !buttons.length;
    }
    section.querySelector(".tabs").hidden = figures.length < 2 || !buttons.length;
    views.hidden = buttons.length < 2;
    return draw;
  }

  // ---- lines

  function drawChart(figure, chart) {
    const plot = figure.querySelector(".plot");
    const traces = chart.lines.map((line, at) => ({
      type: "scatter", mode: line.expected ? "lines" : "lines+markers", name: plain(line.name), x: line.x, y: line.y,
      line: line.expected
        ? { color: style("--ink"), dash: "dash", width: 2 }
        : { color: style(`--s${at % 6}`), width: 2, dash: at >= 6 ? "dot" : "solid" },
      marker: { size: chart.labels.length > 60 ? 3 : 5 }, customdata: chart.labels.map(plain),
      hovertemplate: `${chart.labels.length ? "%{customdata}: " : ""}%{y:.4g}<extra>%{fullData.name}</extra>`,
    }));
    for (const outline of chart.outlines) {
      traces.unshift({
        type: "scatter", mode: "lines", x: outline.map(([x]) => x), y: outline.map(([, y]) => y), fill: "toself",
        fillcolor: style("--band"), line: { width: 0 }, hoverinfo: "skip",
      });
    }
    const axis = (of) => ({
      type: of.log ? "log" : "linear", title: { text: plain(of.title) }, tickmode: "array", tickvals: of.ticks.map(([value]) => value),
      ticktext: of.ticks.map(([, text]) => text), gridcolor: style("--line"), zeroline: false, linecolor: style("--line"),
    });
    const layout = base({
      height: 420, margin: { l: 70, r: 10, t: 24, b: 70 }, hovermode: "closest", xaxis: axis(chart.across), yaxis: axis(chart.up),
      showlegend: false,
      shapes: chart.marks.map(([at]) => ({
        type: "line", x0: at, x1: at, y0: 0, y1: 1, yref: "paper", line: { color: style("--quiet"), width: 1, dash: "dot" },
      })),
      annotations: chart.marks.map(([at, text]) => ({
        x: at, y: 1, yref: "paper", yanchor: "bottom", text: plain(text), showarrow: false, font: { size: 11 },
      })),
    });
    Plotly.react(plot, traces, layout, config);
  }

  function showCharts(words) {
    const figures = all("figure.drawing").filter((figure) => words.charts[figure.dataset.chart]);
    for (const figure of figures) {
      figure.querySelector(".plot").hidden = false;
      figure.classList.add("drawn");
    }
    return () => figures.forEach((figure) => drawChart(figure, words.charts[figure.dataset.chart]));
  }

  async function start() {
    if (typeof DecompressionStream === "undefined") return;
    const [library, told] = await Promise.all([unpacked("library"), unpacked("words")]);
    if (!loadLibrary(library)) return;
    const words = JSON.parse(new TextDecoder().decode(told));
    const draws = [showMaps(words), showCharts(words)];
    const redraw = async () => {
      for (const draw of draws) await draw();
      document.documentElement.dataset.drawn = innerWidth;  // tells for which width
    };
    await redraw();
    dark.addEventListener("change", redraw);
    let pause, width = innerWidth;  // a telephone's own bars change its height all the time
    addEventListener("resize", () => {
      if (innerWidth === width) return;
      width = innerWidth;
      clearTimeout(pause);
      pause = setTimeout(redraw, 200);
    });
  }
  start().catch((error) => {
    console.error(error);
    for (const figure of all(".drawn")) figure.classList.remove("drawn", "aside");
    for (const each of all(".plot, .readout, .tabs, .views")) each.hidden = true;
  });
})();
