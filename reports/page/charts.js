// Vega-Lite without eval: specifications are compiled to a syntax tree that Vega's interpreter
// walks, so the page's policy forbids evaluated code. Colours of words and lines are the page's own
// custom properties: a chart follows the theme, and the printer, without being drawn again.

const COLOURS = [
  '#3f7fca', '#e08b2c', '#3d9a6a', '#c8524f', '#8c6bc8', '#9a7b4f', '#d070ab', '#7a8794', '#2fa3b5',
  '#b0a02c', '#86b4ea', '#f0b878', '#7cc9a2', '#e39492', '#b9a3e3', '#c4ab86'
];

const CHART_CONFIG = {
  background: null,
  font: 'system-ui, sans-serif',
  view: {stroke: null},
  axis: {
    labelColor: 'var(--soft)',
    titleColor: 'var(--soft)',
    domainColor: 'var(--line)',
    tickColor: 'var(--line)',
    gridColor: 'var(--grid)',
    labelFontSize: 12,
    titleFontSize: 12,
    titleFontWeight: 'normal',
    labelLimit: 160
  },
  legend: {
    labelColor: 'var(--ink)',
    titleColor: 'var(--soft)',
    labelFontSize: 12,
    titleFontSize: 12,
    titleFontWeight: 'normal',
    labelLimit: 220,
    orient: 'bottom',
    symbolType: 'square',
    symbolOpacity: 1,
    title: null
  },
  title: {color: 'var(--ink)'},
  mark: {color: COLOURS[0]},
  text: {color: 'var(--ink)', fontSize: 12},
  rule: {color: 'var(--ink)'},
  range: {category: COLOURS},
  bar: {discreteBandSize: {band: 0.8}},
};

// What Vega would load things with: nothing is ever loaded.
const NO_LOADER = {
  load: () => Promise.reject(new Error('the report loads nothing')),
  sanitize: () => Promise.reject(new Error('the report links to nothing')),
  http: () => Promise.reject(new Error('the report loads nothing')),
  file: () => Promise.reject(new Error('the report loads nothing')),
};

const TOOLTIP = el('div', {id: 'tooltip', 'aria-hidden': 'true'});

function showTooltip(handler, event, item, value) {
  TOOLTIP.replaceChildren();
  TOOLTIP.style.display = 'none';
  if (value === null || value === undefined || value === '') return;
  const entries = typeof value === 'object' ? Object.entries(value) : [['', value]];
  for (const [name, text] of entries) {
    TOOLTIP.append(el('div', {}, el('span', {class: 'muted'}, name ? name + ' ' : ''), String(text)));
  }
  TOOLTIP.style.display = 'block';
  const right = event.clientX > window.innerWidth / 2;
  TOOLTIP.style.top = event.clientY + 14 + 'px';
  TOOLTIP.style.left = right ? 'auto' : event.clientX + 12 + 'px';
  TOOLTIP.style.right = right ? window.innerWidth - event.clientX + 12 + 'px' : 'auto';
}

async function drawChart(entry) {
  if (entry.view) entry.view.finalize();
  entry.chart.replaceChildren();
  const spec = {
    width: 'container',
    height: 240,
    autosize: {type: 'fit-x', contains: 'padding', resize: true},
    ...entry.spec()
  };
  const room = entry.chart.clientWidth;
  const legend = {...CHART_CONFIG.legend, columns: room < 420 ? 1 : room < 640 ? 2 : 4};
  const compiled = vegaLite.compile(spec, {config: {...CHART_CONFIG, legend}, logger: SILENT}).spec;
  entry.view = new vega.View(vega.parse(compiled, null, {ast: true}), {
    expr: vega.expressionInterpreter,
    renderer: 'svg',
    container: entry.chart,
    hover: true,
    loader: NO_LOADER,
    tooltip: showTooltip,
    logLevel: vega.Error
  });
  entry.view.description('');
  await entry.view.runAsync();
  const svg = entry.chart.querySelector('svg');
  if (svg) svg.setAttribute('aria-hidden', 'true');  // the chart's words stand on its frame
}

const SILENT = {
  level: () => SILENT,
  error: (...a) => {
    console.error(...a);
    return SILENT;
  },
  warn: () => SILENT,
  info: () => SILENT,
  debug: () => SILENT
};

// Shapes drawn by a chart, groups and axes aside: what a test counts.
function marksOf(view) {
  let count = 0;
  const walk = (item) => {
    for (const child of item.items || []) {
      if (item.marktype && item.marktype !== 'group' && item.role === 'mark') ++count;
      if (item.marktype === 'group' || !item.marktype)
        walk(child);
      else if (child.items)
        walk(child);
    }
  };
  walk(view.scenegraph().root);
  return count;
}

// ---- specifications ---------------------------------------------------------------------------

// A field whose title may hold anything: fields are named by us, titles are text.
function field(name, type, title, more) {
  return {field: name, type, title, ...more};
}

function tip(name, title, format) {
  return {field: name, title, ...(format ? {type: 'quantitative', format} : {type: 'nominal'})};
}

// The colour of a series; its legend only where there are several.
function seriesColour(rows, legend) {
  const several = new Set(rows.map((r) => r.s)).size > 1;
  return field('s', 'nominal', null, {sort: null, legend: several ? legend || {} : null});
}

// Lines over time, one a series: rows {t, y, s}.
function lineSpec(rows, yTitle, more) {
  const {format = '~s', domain, step} = more || {};
  return {
    data: {values: rows},
    mark: {
      type: 'line',
      strokeWidth: 1.8,
      interpolate: step ? 'step-before' : 'linear',
      clip: true,
      ...(rows.length <= 2 ? {point: true} : {})
    },
    encoding: {
      x: field('t', 'quantitative', 'simulated time, s', {scale: {nice: false}}),
      y: field(
          'y', 'quantitative', yTitle, {axis: {format, tickCount: 5}, ...(domain ? {scale: {domain}} : {})}),
      color: seriesColour(rows, {symbolType: 'stroke', symbolStrokeWidth: 3}),
      tooltip: [
        tip('s', ''), tip('t', 'time, s', ',.3~f'), tip('y', yTitle, format.endsWith('%') ? '.2%' : ',.4~r')
      ],
    },
  };
}

// A scale for values of which the largest would flatten the others.
function logWhereWide(rows) {
  const values = rows.map((r) => r.y);
  return Math.min(...values) > 0 && Math.max(...values) > 20 * Math.min(...values) ? {type: 'log'} : {};
}

// Stacked bars: rows {g: bar, s: part, y}.
function stackSpec(rows, yTitle, barHeight = 34) {
  const bars = new Set(rows.map((r) => r.g)).size;
  return {
    data: {values: rows},
    height: {step: barHeight},
    mark: {type: 'bar'},
    encoding: {
      y: field('g', 'nominal', null, {
        sort: null,
        axis: {labelLimit: 110, ticks: false, domain: false, ...(bars === 1 ? {labels: false} : {})}
      }),
      x: field('y', 'quantitative', yTitle, {stack: 'zero', axis: {tickCount: 6}}),
      color: field('s', 'nominal', null, {sort: null}),
      order: {field: 'o', type: 'quantitative'},
      tooltip: [tip('g', ''), tip('s', ''), tip('y', yTitle, ',.4~r')],
    },
  };
}
