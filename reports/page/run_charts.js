// What the charts of a run are drawn from: series.json as rows. A sample holds totals since the
// warm-up's end; between two samples lies a bucket of time.

const RUNS = DATA.inputs.filter((input) => input.kind === 'run');
RUNS.forEach((run, i) => {
  run.label =
      RUNS.length === 1 ? oneLine(run.result.scenario) : `[${i + 1}] ${shortened(run.result.scenario, 28)}`;
  run.index = i;
});
const SERIES_RUNS = RUNS.filter((run) => run.series && run.series.time_ns.length > 1);
const RUNS_DRAWN = 6;  // of a chart that each run has for itself

function metricOf(run, name) {
  const metric = run.result.metrics[name];
  return metric && isNumber(metric.value) ? metric.value : null;
}

function definitionOf(name) {
  const d = DEFINITIONS.get(name);
  return d ? `${d.definition} Scope: ${d.scope}.` : '';
}

// Bucket by bucket: {t: its end in s, from, seconds, d: name => growth of a total}.
function buckets(run) {
  const time = run.series.time_ns;
  const out = [];
  for (let i = 1; i < time.length; ++i) {
    const grown = (column) => column[i] - column[i - 1];
    out.push({
      i,
      from: time[i - 1] / 1e9,
      t: time[i] / 1e9,
      seconds: (time[i] - time[i - 1]) / 1e9,
      total: (name) => grown(run.series.totals[name]),
      stall: (cause) => grown(run.series.stall_ns[cause])
    });
  }
  return out.filter((b) => b.seconds > 0);
}

// One line a run: value(bucket) or null.
function overTime(value) {
  return SERIES_RUNS.flatMap((run) => buckets(run).flatMap((b) => {
    const y = value(b, run);
    return isNumber(y) ? [{t: b.t, y, s: run.label}] : [];
  }));
}

function timeTable(rows, name, unit, definition) {
  return {
    columns: [
      {name: 'run', text: true}, {name: 'time', unit: 's', definition: 'End of the bucket, simulated time.'},
      {name, unit, definition}
    ],
    rows: rows.map((r) => [r.s, r.t, r.y])
  };
}

// Shares of the whole bucket's time can pass 1 by a little where what ended in it began before.
const COUNTED_AT_END = 'Counted when it ends, so a bucket can show what began in the one before.';

// ---- pools ------------------------------------------------------------------------------------

const TIERS = {
  hbm: 'HBM, one rank',
  host: 'Host DRAM, node'
};

function tiersOf(run) {
  return [...new Set(run.result.footprint.map((p) => p.tier))];
}

// A pool has one colour in all charts of the page.
const POOLS = [...new Set(RUNS.flatMap((run) => run.result.footprint.map((p) => p.pool)))];

function poolColour(rows) {
  const there = new Set(rows.map((r) => r.s));
  return field(
      's', 'nominal', null,
      {scale: {domain: POOLS, range: COLOURS}, legend: {values: POOLS.filter((p) => there.has(p))}});
}

function sum(list) {
  return list.reduce((a, b) => a + b, 0);
}

function poolRows(run, tier) {
  const pools = run.series.pools.filter((p) => p.tier === tier);
  return run.series.time_ns.flatMap(
      (ns, i) => pools.map(
          (p, o) =>
              ({t: ns / 1e9, s: p.pool, o, y: p.in_use_bytes[i] / GIB, a: p.allocated_bytes[i] / GIB})));
}

function footprintSpec(run, tier) {
  const rows = poolRows(run, tier);
  const capacity =
      Math.max(0, ...run.result.footprint.filter((p) => p.tier === tier).map((p) => p.capacity_bytes)) / GIB;
  const allocated = run.series.time_ns.map(
      (ns, i) => ({
        t: ns / 1e9,
        y: sum(run.series.pools.filter((p) => p.tier === tier).map((p) => p.allocated_bytes[i])) / GIB
      }));
  const x = field('t', 'quantitative', 'simulated time, s', {scale: {nice: false}});
  const layers = [
    {
      data: {values: rows},
      mark: {type: 'area', interpolate: 'step-before', opacity: 0.9},
      encoding: {
        x,
        y: field('y', 'quantitative', 'GiB', {stack: 'zero'}),
        color: poolColour(rows),
        order: {field: 'o', type: 'quantitative'},
        tooltip: [
          tip('s', ''), tip('t', 'time, s', ',.3~f'), tip('y', 'in use, GiB', ',.4~r'),
          tip('a', 'allocated, GiB', ',.4~r')
        ]
      }
    },
    {
      data: {values: allocated},
      mark: {
        type: 'line',
        interpolate: 'step-before',
        strokeWidth: 1.4,
        strokeDash: [2, 3],
        color: 'var(--ink)'
      },
      encoding: {x, y: field('y', 'quantitative', 'GiB')}
    }
  ];
  if (capacity > 0) {
    layers.push({
      data: {values: [{y: capacity}]},
      mark: {type: 'rule', strokeWidth: 1.6, color: 'var(--bad)'},
      encoding: {y: field('y', 'quantitative', 'GiB'), tooltip: [tip('y', 'capacity, GiB', ',.4~r')]}
    });
  }
  return {layer: layers};
}

function footprintTable(run, tier) {
  const pools = run.series.pools.filter((p) => p.tier === tier);
  const columns = [
    {name: 'time', unit: 's', definition: 'End of the bucket; the first is the warm-up.'},
    ...pools.flatMap(
        (p) =>
            [{
              name: p.pool + ', allocated',
              unit: 'GiB',
              definition: 'Largest in the bucket, at the end of a batch step.'
            },
             {
               name: p.pool + ', in use',
               unit: 'GiB',
               definition: 'Largest in the bucket that holds live data, at the end of a batch step.'
             }])
  ];
  const rows = run.series.time_ns.map(
      (ns, i) => [ns / 1e9, ...pools.flatMap((p) => [p.allocated_bytes[i] / GIB, p.in_use_bytes[i] / GIB])]);
  return {columns, rows};
}

// ---- steps and stall --------------------------------------------------------------------------

// Mean milliseconds of a counted step by part: the model's parts of a step of the mean batch, then
// what decode waited for. The rest is what the batch's changes add to the mean step's parts.
function stepParts(run) {
  const steps = metricOf(run, 'steps');
  const mean = metricOf(run, 'step_ms_mean');
  if (!run.series || !steps || mean === null) return [];
  const parts = run.series.mean_step.parts.map((p) => ({s: p.part, y: p.ns / 1e6}));
  for (const cause of DATA.causes) {
    const ms = metricOf(run, 'stall_ms_by_cause.' + cause.name);
    if (ms) parts.push({s: 'stall: ' + cause.name, y: ms / steps});
  }
  parts.push({s: 'difference to the mean', y: mean - sum(parts.map((p) => p.y))});
  return parts.map((p, o) => ({...p, o, g: run.label}));
}

function stallRows() {
  return RUNS.flatMap((run) => DATA.causes.flatMap((cause, o) => {
    const ms = metricOf(run, 'stall_ms_by_cause.' + cause.name);
    const steps = metricOf(run, 'steps');
    return ms !== null && steps ? [{g: run.label, s: cause.name, y: ms / steps, o, meaning: cause.meaning}] :
                                  [];
  }));
}

// ---- coverage ---------------------------------------------------------------------------------

function hasGrid(run) {
  return run.series && run.series.coverage.selections.length > 0 &&
      sum(run.series.coverage.selections.flat()) > 0;
}

// The grid as cells {x: part of the prompt, y: steps since the tick, c: coverage, n}.
function gridCells(run) {
  const grid = run.series.coverage;
  const width = grid.lags_per_row * grid.stride_steps;
  return grid.selections.flatMap(
      (row, lag) => row.flatMap(
          (n, part) => n === 0 ? [] : [{
            part,
            x: part < grid.prompt_parts ? part / grid.prompt_parts : 1,
            x2: part < grid.prompt_parts ? (part + 1) / grid.prompt_parts : 1 + 1 / grid.prompt_parts,
            y: lag * width,
            y2: (lag + 1) * width,
            c: 1 - grid.missed[lag][part] / n,
            n: n / grid.stride_steps,
            missed: grid.missed[lag][part] / grid.stride_steps,
            where: part < grid.prompt_parts ?
                `${(100 * part / grid.prompt_parts).toFixed(1)} to ${
                    (100 * (part + 1) / grid.prompt_parts).toFixed(1)} % of the prompt` :
                'generated'
          }]));
}

function gridSpec(cells) {
  return {
    data: {values: cells},
    mark: {type: 'rect', stroke: 'var(--page)', strokeWidth: 0.3},
    encoding: {
      x: field(
          'x', 'quantitative', 'position in the prompt, then generated',
          {scale: {nice: false}, axis: {format: '.0%', grid: false}}),
      x2: {field: 'x2'},
      y: field(
          'y', 'quantitative', 'steps since the tick',
          {scale: {nice: false}, axis: {grid: false, tickCount: 5}}),
      y2: {field: 'y2'},
      color: field(
          'c', 'quantitative', 'coverage',
          {scale: {scheme: 'viridis'}, legend: {format: '.0%', columns: null, gradientLength: 180}}),
      tooltip: [
        tip('where', 'position'), tip('y', 'from step'), tip('c', 'coverage', '.2%'),
        tip('n', 'selections', ',.4~s')
      ],
    },
  };
}

// Coverage by one side of the grid: by(cell) names the side's place.
function gridMargin(run, by) {
  const places = new Map();
  for (const cell of gridCells(run)) {
    const at = by(cell);
    const old = places.get(at) || {n: 0, missed: 0};
    places.set(at, {n: old.n + cell.n, missed: old.missed + cell.missed});
  }
  return [...places].map(([t, {n, missed}]) => ({t, y: 1 - missed / n, s: run.label, n}));
}

// ---- distributions ----------------------------------------------------------------------------

const HISTOGRAMS = {
  step: {title: 'Batch step', stem: 'step_ms', says: 'Durations of the counted batch steps, stall included.'},
  tpot: {title: 'TPOT', stem: 'tpot_ms', says: 'Time per output token of completed requests.'},
  ttft: {title: 'TTFT', stem: 'ttft_ms', says: 'Time to first token of completed requests.'},
  queue: {title: 'Queue wait', stem: 'queue_ms', says: 'From ready to admitted, of completed requests.'},
  request_latency: {
    title: 'Request latency',
    stem: 'request_latency_ms',
    says: 'From arrival to last token, of completed requests.'
  },
};

function storedHistogram(run, name) {
  const found = run.series && run.series.histograms.find((h) => h.name === name);
  return found && metricOf(run, HISTOGRAMS[name].stem + '_p50') !== null ? found : null;
}

// Nothing is drawn where all samples are 0.
function histogramOf(run, name) {
  const found = storedHistogram(run, name);
  return found && found.upper_ns[found.upper_ns.length - 1] > 1 ? found : null;
}

function histogramSpec(run, name) {
  const h = histogramOf(run, name);
  const rows = h.counts.map((n, i) => ({x: h.lower_ns[i] / 1e6, x2: h.upper_ns[i] / 1e6, n}));
  const log = h.lower_ns[0] > 0 && h.upper_ns[h.upper_ns.length - 1] > 8 * h.lower_ns[0];
  const marks = ['p50', 'p90', 'p99']
                    .flatMap((p) => {
                      const v = metricOf(run, HISTOGRAMS[name].stem + '_' + p);
                      return v === null || (log && v <= 0) ? [] : [{x: v, p}];
                    })
                    .map((m, i) => ({...m, dy: 6 + 15 * i, label: `${m.p} ${formatNumber(m.x)}`}));
  // Words on the side that has room.
  const ends = [rows[0].x, rows[rows.length - 1].x2].map((v) => (log ? Math.log(v) : v));
  const right = (m) => ((log ? Math.log(m.x) : m.x) - ends[0]) / (ends[1] - ends[0]) < 0.6;
  const scale = {type: log ? 'log' : 'linear', nice: false, zero: false};
  const x = {field: 'x', type: 'quantitative'};
  const words = (list, align, dx) => ({
    data: {values: list},
    mark: {type: 'text', align, dx, baseline: 'top'},
    encoding: {x, y: {field: 'dy', type: 'quantitative', scale: null}, text: {field: 'label'}}
  });
  return {
    height: 180,
    layer: [
      {
        data: {values: rows},
        mark: {type: 'rect', color: COLOURS[0]},
        encoding: {
          x: field(
              'x', 'quantitative', 'ms',
              {scale, axis: {tickCount: 6, grid: false, labelOverlap: true, format: ',.4~r'}}),
          x2: {field: 'x2'},
          y: field('n', 'quantitative', 'count', {
            scale: {type: 'symlog', constant: 1, nice: false},
            axis: {format: ',d', values: [0, 1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7]}
          }),
          y2: {datum: 0},
          tooltip: [tip('x', 'from, ms', ',.5~r'), tip('x2', 'to, ms', ',.5~r'), tip('n', 'count', ',')]
        }
      },
      {
        data: {values: marks},
        mark: {type: 'rule', strokeDash: [4, 3]},
        encoding: {x, tooltip: [tip('p', ''), tip('x', 'ms', ',.5~r')]}
      },
      words(marks.filter(right), 'left', 4), words(marks.filter((m) => !right(m)), 'right', -4)
    ],
    resolve: {scale: {y: 'independent'}}
  };
}

function histogramTable(run, name) {
  const h = histogramOf(run, name);
  return {
    columns: [
      {name: 'from', unit: 'ms', definition: 'Lower edge of the bin, in it.'},
      {name: 'to', unit: 'ms', definition: 'Upper edge, not in it.'},
      {name: 'count', definition: 'Samples in the bin.'}
    ],
    rows: h.counts.map((n, i) => [h.lower_ns[i] / 1e6, h.upper_ns[i] / 1e6, n])
  };
}
