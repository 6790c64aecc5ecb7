// A sweep: heat maps with a slider for every axis that is not drawn, the Pareto front, all points.

const LEVELS_MAX = 40;  // an axis with more distinct values is cut into PARTS
const PARTS = 8;

function sweepValue(column, point) {
  return 'constant' in column ? column.constant : column.values[point];
}

// An axis as levels: its distinct values, or equal parts of a sampled one. level[point] is a
// position in labels.
function levelsOf(axis) {
  const distinct = [...new Set(axis.values)];
  const numeric = distinct.every(isNumber);
  if (numeric) distinct.sort((a, b) => a - b);
  if (!numeric || distinct.length <= LEVELS_MAX) {
    const at = new Map(distinct.slice(0, 400).map((v, i) => [v, i]));
    return {
      name: axis.name,
      labels: [...at.keys()].map(String),
      level: axis.values.map((v) => (at.has(v) ? at.get(v) : -1)),
      exact: true
    };
  }
  const edges = Array.from(
      {length: PARTS + 1},
      (_, i) => distinct[Math.min(distinct.length - 1, Math.floor(i * distinct.length / PARTS))]);
  const partOf = (v) => {
    let p = 0;
    while (p + 1 < PARTS && v >= edges[p + 1]) ++p;
    return p;
  };
  return {
    name: axis.name,
    labels:
        Array.from({length: PARTS}, (_, p) => `${formatNumber(edges[p])} to ${formatNumber(edges[p + 1])}`),
    level: axis.values.map(partOf),
    exact: false
  };
}

function axisText(axis, point) {
  const value = axis.values[point];
  return isNumber(value) ? value : oneLine(value);
}

// Means of a metric over the points of each cell that the sliders choose.
function heatCells(levels, column, points, x, y, chosen) {
  const cells = new Map();
  for (let p = 0; p < points; ++p) {
    const value = sweepValue(column, p);
    if (!isNumber(value) ||
        levels.some((axis, a) => a !== x && a !== y && chosen[a] >= 0 && axis.level[p] !== chosen[a]))
      continue;
    const lx = levels[x].level[p], ly = y === null ? 0 : levels[y].level[p];
    if (lx < 0 || ly < 0) continue;
    const key = lx * 4096 + ly;
    const cell = cells.get(key) ||
        {x: levels[x].labels[lx], y: y === null ? '' : levels[y].labels[ly], lx, ly, n: 0, total: 0};
    cell.n += 1;
    cell.total += value;
    cells.set(key, cell);
  }
  return [...cells.values()]
      .map((c) => ({...c, v: c.total / c.n}))
      .sort((a, b) => a.ly - b.ly || a.lx - b.lx);
}

// Whether cells of so many columns have no room for their numbers.
function wide(columns) {
  return columns * 62 > document.getElementById('content').clientWidth - 60;
}

function selectBox(label, options, value, change) {
  const id = uniqueId('choose ' + label);
  const box =
      el('select', {id, onchange: (event) => change(Number(event.target.value))},
         options.map((text, i) => el('option', {value: String(i), selected: i === value}, text)));
  return el('div', {class: 'control'}, el('label', {for: id
            }, label), box);
}

function heatMapFigure(sweep, levels) {
  const columns = sweep.metrics.filter((m) => 'values' in m);
  if (columns.length === 0) return note('No metric differs between the points.');
  // At first the two axes with the most levels, and coverage where it differs.
  const order = levels.map((_, a) => a).sort((a, b) => levels[b].labels.length - levels[a].labels.length);
  const state = {
    x: order[0],
    y: order.length > 1 ? order[1] : null,
    metric: Math.max(0, columns.findIndex((c) => c.name === 'coverage')),
    chosen: levels.map(() => -1)
  };
  const sliders = el('div', {class: 'controls sliders'});
  const cells = () => heatCells(levels, columns[state.metric], sweep.points, state.x, state.y, state.chosen);
  const slider = (axis, a) => {
    const id = uniqueId('slider ' + axis.name);
    const shown = el('output', {for: id
    });
    const say = (input) => {
      shown.textContent = state.chosen[a] < 0 ? 'all' : axis.labels[state.chosen[a]];
      input.setAttribute('aria-valuetext', shown.textContent);
    };
    const input = el('input', {
      type: 'range',
      id,
      min: '-1',
      max: String(axis.labels.length - 1),
      step: '1',
      value: String(state.chosen[a]),
      'data-axis': axis.name,
      oninput: (event) => {
        state.chosen[a] = Number(event.target.value);
        say(event.target);
        node.update();
      }
    });
    say(input);
    return el('div', {class: 'control'}, el('label', {for: id
              }, oneLine(axis.name)), input, shown);
  };
  const drawSliders = () => sliders.replaceChildren(...levels.flatMap(
      (axis, a) => (a === state.x || a === state.y || axis.labels.length < 2 ? [] : [slider(axis, a)])));
  const names = levels.map((l) => oneLine(l.name));
  const choose = (which) => (a) => {
    if (which === 'x' && a === state.y) state.y = state.x;
    if (which === 'y' && a === state.x) state.x = state.y;
    state[which] = a;
    state.chosen[a] = -1;
    drawControls();
    node.update();
  };
  const controls = el('div', {});
  const drawControls = () => {
    drawSliders();
    controls.replaceChildren(
        el('div', {class: 'controls'},
           selectBox(
               'Metric', columns.map((c) => c.name), state.metric,
               (m) => {
                 state.metric = m;
                 node.update();
               }),
           selectBox('Across', names, state.x, choose('x')),
           state.y === null ? null : selectBox('Up', names, state.y, choose('y'))),
        sliders);
  };
  const node = figure({
    title: `${sweep.sweep}: heat map`,
    says:
        'Mean of the chosen metric over the points of each cell. A slider at "all" averages over that axis. Sampled axes are cut into eight parts of equally many values.',
    controls,
    spec: () => {
      const rows = cells(), column = columns[state.metric];
      const unit = column.unit === 'fraction' ? '' : ' ' + column.unit;
      const low = Math.min(...rows.map((r) => r.v)),
            lightFrom = low + 0.62 * (Math.max(...rows.map((r) => r.v)) - low);
      return {
        height: state.y === null ? 60 : {step: 26},
        data: {
          values: rows.map((r) => ({
                             ...r,
                             bright: r.v > lightFrom,
                             text: formatQuantity(r.v, column.unit === 'fraction' ? 'fraction' : '')
                           }))
        },
        layer: [
          {
            mark: {type: 'rect', stroke: 'var(--page)', strokeWidth: 1},
            encoding: {
              color: field('v', 'quantitative', column.name + unit, {
                scale: {scheme: 'viridis', zero: false},
                legend:
                    {gradientLength: 200, columns: null, format: column.unit === 'fraction' ? '.1%' : ',.3~r'}
              }),
              tooltip: [
                tip('x', names[state.x]), ...(state.y === null ? [] : [tip('y', names[state.y])]),
                tip('text', column.name), tip('n', 'points')
              ]
            }
          },
          ...(wide(levels[state.x].labels.length) ? [] : [{
            mark: {type: 'text', fontSize: 11},
            encoding: {
              text: {field: 'text'},
              color: {condition: {test: 'datum.bright', value: '#111'}, value: '#fff'}
            }
          }])
        ],
        encoding: {
          x: field('x', 'ordinal', names[state.x], {
            sort: levels[state.x].labels,
            axis:
                {labelAngle: levels[state.x].exact ? 0 : -30, labelOverlap: true, domain: false, ticks: false}
          }),
          y: field('y', 'ordinal', state.y === null ? null : names[state.y], {
            sort: state.y === null ? null : [...levels[state.y].labels].reverse(),
            axis: {domain: false, ticks: false}
          })
        }
      };
    },
    table: () => ({
      columns: [
        {name: names[state.x], text: true}, {name: state.y === null ? '' : names[state.y], text: true}, {
          name: columns[state.metric].name,
          unit: columns[state.metric].unit,
          definition: 'Mean over the points of the cell. ' + definitionOf(columns[state.metric].name)
        },
        {name: 'points'}
      ],
      rows: cells().map((c) => [c.x, c.y, c.v, c.n])
    })
  });
  node.heat = {cells, state};
  drawControls();
  return node;
}

// ---- Pareto -----------------------------------------------------------------------------------

// Two of the objectives at a time; the third is the colour.
function paretoFigures(sweep) {
  const front = new Set(sweep.front);
  const columns = sweep.objectives.map((o) => sweep.metrics.find((m) => m.name === o.metric)).filter(Boolean);
  const figures = [];
  for (let a = 0; a < columns.length; ++a) {
    for (let b = a + 1; b < columns.length; ++b) {
      const third = columns.find((c, i) => i !== a && i !== b);
      const rows = () => Array
                             .from({length: sweep.points}, (_, p) => ({
                                                             p,
                                                             x: sweepValue(columns[a], p),
                                                             y: sweepValue(columns[b], p),
                                                             c: third ? sweepValue(third, p) : null,
                                                             f: front.has(p)
                                                           }))
                             .filter((r) => isNumber(r.x) && isNumber(r.y));
      const goal = (i) => `${columns[i].name}, ${
          sweep.objectives.find((o) => o.metric === columns[i].name).maximize ? 'most' : 'least'} is best`;
      const axis = (key, i) => field(key, 'quantitative', goal(i), {
        scale: {zero: false},
        axis: {format: columns[i].unit === 'fraction' ? '.0%' : ',.3~r', tickCount: 5}
      });
      const format = (i) => (columns[i].unit === 'fraction' ? '.2%' : ',.4~r');
      figures.push(figure({
        title: `${sweep.sweep}: ${columns[b].name} over ${columns[a].name}`,
        says: `All points, pale; the Pareto front over all ${columns.length} objectives, filled.`,
        spec: () => {
          const all = rows();
          return {
            height: 280,
            layer: [
              {
                data: {values: all.filter((r) => !r.f)},
                mark:
                    {type: 'circle', size: sweep.points > 2000 ? 8 : 22, color: 'var(--line)', opacity: 0.7},
                encoding: {x: axis('x', a), y: axis('y', b)}
              },
              {
                data: {values: all.filter((r) => r.f)},
                mark: {type: 'circle', size: 46, opacity: 1, stroke: 'var(--ink)', strokeWidth: 0.8},
                encoding: {
                  x: axis('x', a),
                  y: axis('y', b),
                  ...(third ? {
                    color: field('c', 'quantitative', third.name, {
                      scale: {scheme: 'viridis'},
                      legend: {
                        columns: null,
                        gradientLength: 180,
                        format: third.unit === 'fraction' ? '.0%' : ',.3~r'
                      }
                    })
                  } :
                              {color: {value: COLOURS[0]}}),
                  tooltip: [
                    tip('p', 'point'), tip('x', columns[a].name, format(a)),
                    tip('y', columns[b].name, format(b)), ...(third ? [tip('c', third.name, ',.4~r')] : [])
                  ]
                }
              }
            ]
          };
        },
        table: () => ({
          columns: [
            {name: 'point'},
            {name: columns[a].name, unit: columns[a].unit, definition: definitionOf(columns[a].name)},
            {name: columns[b].name, unit: columns[b].unit, definition: definitionOf(columns[b].name)},
            {name: 'on the front', text: true}
          ],
          rows:
              rows().sort((r, s) => Number(s.f) - Number(r.f)).map((r) => [r.p, r.x, r.y, r.f ? 'yes' : 'no'])
        })
      }));
    }
  }
  return figures;
}

function frontTable(sweep) {
  const metrics = [
    ...sweep.objectives.map((o) => sweep.metrics.find((m) => m.name === o.metric)).filter(Boolean),
    ...['throughput_tok_per_s', 'tpot_ms_p99', 'hbm_total_gib_peak', 'host_gib_peak']
        .map((n) => sweep.metrics.find((m) => m.name === n && !sweep.objectives.some((o) => o.metric === n)))
        .filter(Boolean)
  ];
  const columns = [
    {name: 'point'}, ...sweep.axes.map((a) => ({name: a.name, definition: 'Axis of the sweep.'})),
    ...metrics.map((m) => ({name: m.name, unit: m.unit, definition: definitionOf(m.name)}))
  ];
  const rows = sweep.front.map(
      (p) => [p, ...sweep.axes.map((a) => axisText(a, p)), ...metrics.map((m) => sweepValue(m, p))]);
  return el(
      'div', {}, dataTable({caption: 'Pareto front', columns, rows}),
      el('div', {class: 'under'}, csvButton(slug(sweep.sweep + ' front'), columns, () => rows)));
}

function allPoints(sweep) {
  const columns = [
    {name: 'point'}, ...(sweep.seeds.length ? [{name: 'seed', text: true}] : []),
    ...sweep.axes.map((a) => ({name: a.name})),
    ...sweep.metrics.map((m) => ({name: m.name, unit: m.unit, definition: definitionOf(m.name)}))
  ];
  const rows = () => Array.from(
      {length: sweep.points},
      (_, p) =>
          [p, ...(sweep.seeds.length ? [sweep.seeds[p]] : []), ...sweep.axes.map((a) => axisText(a, p)),
           ...sweep.metrics.map((m) => sweepValue(m, p))]);
  const details =
      el('details', {class: 'data'}, el('summary', {}, `All ${formatNumber(sweep.points)} points`));
  details.addEventListener(
      'toggle',
      () => details.open && details.childElementCount === 1 &&
          details.append(dataTable({caption: 'All points', columns, rows: rows()})));
  return el('div', {class: 'under'}, details, csvButton(slug(sweep.sweep + ' points'), columns, rows));
}

function sweepSection(input) {
  const sweep = input.document;
  const levels = sweep.axes.map(levelsOf);
  return section(
      `Sweep ${oneLine(sweep.sweep)}`,
      el('p', {class: 'muted'},
         `${formatNumber(sweep.points)} points over ${sweep.axes.map((a) => oneLine(a.name)).join(', ')}` +
             (sweep.limits.length ? `; limits ${sweep.limits.map(oneLine).join(', ')}` : '') +
             `. Built by ${oneLine(sweep.build)}.`),
      sweep.error_count > 0 ? note(`${formatNumber(sweep.error_count)} points cannot run; the first: ${
                                  oneLine(sweep.errors[0][1])}`) :
                              null,
      sweep.left_out.length > 0 ?
          note(`To keep this page small, these metrics are left out; sweep --format=csv has them: ${
              sweep.left_out.map(oneLine).join(', ')}.`) :
          null,
      heatMapFigure(sweep, levels), paretoFigures(sweep), frontTable(sweep), allPoints(sweep));
}
