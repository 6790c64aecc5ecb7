// The sections that runs have.

// What waits longest for room: admission's reasons, largest first.
const WAITS =
    [['slots', 'requests at once'], ['hbm', 'HBM'], ['host', 'host DRAM'], ['reserve', 'page reserve']];

function bindingOf(run) {
  const waits = WAITS.map(([name, text]) => ({
                            name: 'admission_wait_fraction.' + name,
                            text,
                            share: metricOf(run, 'admission_wait_fraction.' + name) || 0
                          }));
  waits.sort((a, b) => b.share - a.share);
  return waits[0].share > 0 ? waits[0] : null;
}

function metricCard(run, label, name, sentence) {
  const value = metricOf(run, name);
  const metric = run.result.metrics[name];
  const unit = metric ? metric.unit : '';
  return el(
      'li', {}, el('span', {class: 'label'}, label),
      el('span', {
        class: 'figure',
        title: hoverText(value, unit, definitionOf(name)),
        'data-metric': name,
        'data-run': String(run.index),
        'data-value': value === null ? null : String(value)
      },
         value === null ? '-' : formatQuantity(value, unit)),
      el('span', {class: 'sentence'}, sentence || (metric && metric.absent ? oneLine(metric.absent) : '')));
}

function ofCapacity(run, tier) {
  const pools = run.result.footprint.filter((p) => p.tier === tier);
  const capacity = Math.max(0, ...pools.map((p) => p.capacity_bytes));
  if (!pools.length) return 'no pool on this tier';
  return capacity > 0 ? `${formatPercent(sum(pools.map((p) => p.allocated_bytes)) / capacity)} of ${
                            formatNumber(capacity / GIB)} GiB` :
                        'capacity not known';
}

function summaryCards(run) {
  const binding = bindingOf(run);
  const stall = metricOf(run, 'stall_fraction');
  const causes = DATA.causes.map((c) => [c.name, metricOf(run, 'stall_ms_by_cause.' + c.name) || 0])
                     .sort((a, b) => b[1] - a[1]);
  const concurrency = metricOf(run, 'concurrency_mean');
  const bindingCard =
      el('li', {class: 'binding'}, el('span', {class: 'label'}, 'Binding limit'),
         el('span', {
           class: 'figure',
           title: binding ? hoverText(binding.share, 'fraction', definitionOf(binding.name)) :
                            'No request in line had to wait for room.'
         },
            binding ? binding.text : 'none'),
         el('span', {class: 'sentence'},
            binding ? `the first in line waits for it ${formatPercent(binding.share)} of the time` :
                      'no request waits to be admitted'));
  return el(
      'ul', {class: 'cards', 'aria-label': 'Summary of ' + run.label}, bindingCard,
      metricCard(run, 'HBM of one rank, peak', 'hbm_total_gib_peak', ofCapacity(run, 'hbm')),
      metricCard(run, 'Host DRAM of the node, peak', 'host_gib_peak', ofCapacity(run, 'host')),
      metricCard(run, 'Coverage', 'coverage', 'of what the full history would select'),
      metricCard(
          run, 'Stall per step', 'stall_ms_per_token',
          stall === null ? '' :
                           `${formatPercent(stall)} of decode time` +
                  (causes[0][1] > 0 ? `; most by ${causes[0][0]}` : '')),
      metricCard(
          run, 'Throughput', 'throughput_tok_per_s',
          concurrency === null ?
              '' :
              `${formatNumber(concurrency)} request${concurrency === 1 ? '' : 's'} decoding`),
      metricCard(run, 'TPOT, p99', 'tpot_ms_p99', ''));
}

const COMPARED = [
  'hbm_total_gib_peak', 'host_gib_peak', 'hbm_kv_gib_per_request', 'coverage', 'stall_ms_per_token',
  'throughput_tok_per_s', 'concurrency_mean', 'step_ms_mean', 'tpot_ms_p99', 'ttft_ms_p99',
  'recall_gib_per_s', 'link_utilisation'
];

function metricsTable(names, caption) {
  const shown = names.filter((name) => RUNS.some((run) => run.result.metrics[name]));
  const columns = [
    {name: 'metric', text: true}, ...RUNS.map((run) => ({name: run.label})), {name: 'unit', text: true},
    {name: 'definition', text: true}
  ];
  const row = (name) => {
    const d = DEFINITIONS.get(name) || {unit: '', scope: '', definition: ''};
    const cells = RUNS.map((run) => {
      const metric = run.result.metrics[name];
      const mark = {'data-metric': name, 'data-run': String(run.index)};
      if (metric && isNumber(metric.value)) {
        return el(
            'td', {
              class: 'number',
              title: hoverText(metric.value, metric.unit, definitionOf(name)),
              'data-value': String(metric.value),
              ...mark
            },
            metric.unit === 'fraction' ? formatPercent(metric.value) : formatNumber(metric.value));
      }
      return el(
          'td', {class: 'absent', ...mark},
          metric ? 'absent: ' + oneLine(metric.absent) : 'not in this result');
    });
    return el(
        'tr', {}, el('th', {scope: 'row', title: definitionOf(name)}, name), cells,
        el('td', {class: 'unit'}, d.unit === 'fraction' ? '' : d.unit),
        el('td', {class: 'definition'}, `${d.definition} Scope: ${d.scope}.`));
  };
  const csvRows = () => shown.map(
      (name) =>
          [name, ...RUNS.map((run) => metricOf(run, name)), (DEFINITIONS.get(name) || {}).unit,
           definitionOf(name)]);
  return el(
      'div', {},
      el('div', {class: 'scroll', role: 'region', tabindex: '0', 'aria-label': caption},
         el('table', {class: 'metrics'}, el('caption', {}, caption),
            el('thead', {}, el('tr', {}, columns.map(headCell))), el('tbody', {}, shown.map(row)))),
      el('div', {class: 'under'}, csvButton(slug(caption), columns, csvRows)));
}

// Every run against the first: 1 is no change.
function comparisonFigure() {
  const rows = COMPARED.flatMap((name) => {
    const base = metricOf(RUNS[0], name);
    if (!base) return [];
    return RUNS.slice(1).flatMap((run) => {
      const value = metricOf(run, name);
      return value === null ?
          [] :
          [{m: name, s: run.label, y: value / base, base, value, unit: DEFINITIONS.get(name).unit}];
    });
  });
  return rows.length === 0 ? null : figure({
    title: 'Against the first run',
    says: `Each run's value divided by that of ${
        RUNS[0].label}; 1 is no change. Which way is better depends on the metric.`,
    spec: () => ({
      layer: [
        {
          data: {values: [{x: 1}]},
          mark: {type: 'rule', strokeDash: [4, 3]},
          encoding: {x: {field: 'x', type: 'quantitative', scale: {type: 'sqrt'}}}
        },
        {
          data: {values: rows},
          mark: {type: 'point', filled: true, size: 70, opacity: 1},
          encoding: {
            y: field('m', 'nominal', null, {sort: null, axis: {grid: true, labelLimit: 170}}),
            x: field(
                'y', 'quantitative', 'ratio to the first run', {scale: {type: 'sqrt'}, axis: {tickCount: 8}}),
            color: field('s', 'nominal', null, {sort: null}),
            tooltip: [
              tip('s', ''), tip('m', ''), tip('y', 'ratio', ',.4~r'), tip('value', 'value', ',.5~r'),
              tip('base', 'first', ',.5~r'), tip('unit', 'unit')
            ]
          }
        }
      ],
      height: {step: 26}
    }),
    table: {
      columns: [
        {name: 'metric', text: true}, {name: 'run', text: true}, {name: 'ratio'}, {name: 'value'},
        {name: 'value of the first run'}, {name: 'unit', text: true}
      ],
      rows: rows.map((r) => [r.m, r.s, r.y, r.value, r.base, r.unit])
    }
  });
}

function summarySection() {
  const bad = RUNS.filter((run) => run.result.violations.length > 0);
  const alarm = bad.length === 0 ?
      null :
      el('div', {class: 'violations', role: 'alert'}, el('h3', {}, 'Violations: do not trust these results'),
         el('ul', {},
            bad.flatMap(
                (run) => run.result.violations.map(
                    (v) =>
                        el('li', {}, `${run.label}: ${oneLine(v.what)} (${formatNumber(v.count)} times)`)))));
  const cards = RUNS.length === 1 ?
      summaryCards(RUNS[0]) :
      RUNS.slice(0, RUNS_DRAWN).map((run) => [el('h3', {}, run.label), summaryCards(run)]);
  return section('Summary', alarm, cards);
}

function comparisonSection() {
  return RUNS.length < 2 ?
      null :
      section('Comparison', metricsTable(COMPARED, 'The runs side by side'), comparisonFigure());
}

function footprintSection() {
  const peaks = {
    columns: [
      {name: 'run', text: true}, {name: 'tier', text: true}, {name: 'pool', text: true},
      {name: 'allocated', unit: 'GiB', definition: 'Peak over the run of what is allocated.'},
      {name: 'in use', unit: 'GiB', definition: 'Peak over the run of what holds live data.'},
      {name: 'capacity of the tier', unit: 'GiB'},
      {name: 'of capacity', unit: 'fraction', definition: 'allocated / capacity'}
    ],
    rows: RUNS.flatMap(
        (run) => run.result.footprint.map(
            (p) =>
                [run.label, TIERS[p.tier] || p.tier, p.pool, p.allocated_bytes / GIB, p.in_use_bytes / GIB,
                 p.capacity_bytes / GIB, p.capacity_bytes > 0 ? p.allocated_bytes / p.capacity_bytes : null]))
  };
  const shares = RUNS.flatMap(
      (run) => run.result.footprint.filter((p) => p.capacity_bytes > 0)
                   .map((p, o) => ({
                          g: RUNS.length > 1 ? `${p.tier}, ${run.label}` : TIERS[p.tier] || p.tier,
                          s: p.pool,
                          y: p.allocated_bytes / p.capacity_bytes,
                          o
                        })));
  const peakBars = figure({
    title: 'Peak footprint by pool',
    says: 'Allocated at the peak of the run, as a share of the tier\'s capacity.',
    spec: () => {
      const s = stackSpec(shares, 'of capacity');
      s.encoding.color = poolColour(shares);
      s.encoding.x.axis.format = '~%';
      const total = new Map();
      for (const r of shares) total.set(r.g, (total.get(r.g) || 0) + r.y);
      s.encoding.x.scale = {domainMax: Math.max(1, ...total.values())};
      s.encoding.tooltip[2].format = '.2%';
      return s;
    },
    table: peaks
  });
  const overTimes =
      SERIES_RUNS.slice(0, RUNS_DRAWN)
          .flatMap(
              (run) => tiersOf(run).map(
                  (tier) => figure({
                    title: (RUNS.length > 1 ? run.label + ': ' : '') + (TIERS[tier] || tier) + ' over time',
                    says:
                        'Areas: in use by pool, the largest in each bucket of time. Dotted: allocated. Red: capacity. The first bucket is the warm-up.',
                    spec: () => footprintSpec(run, tier),
                    table: () => footprintTable(run, tier)
                  })));
  return section('Footprint', peakBars, overTimes, missingSeries());
}

function missingSeries() {
  const without = RUNS.filter((run) => run.result.kind === 'simulated' && !SERIES_RUNS.includes(run));
  return without.length === 0 ?
      null :
      note(`No series.json, so nothing over time: ${
          without.map((r) => r.label).join(', ')}. Run the scenario again with this tierscope.`);
}

function stepSection() {
  const parts = SERIES_RUNS.flatMap(stepParts);
  const phases = RUNS.map(phasesFigure).filter(Boolean);
  const meanOverTime = SERIES_RUNS.flatMap(
      (run) => buckets(run).flatMap(
          (b) => b.total('steps') > 0 ?
              [
                {t: b.t, y: b.total('decode_ns') / b.total('steps') / 1e6, s: run.label + ', mean'},
                {t: b.t, y: run.series.largest.step_ns[b.i] / 1e6, s: run.label + ', longest'}
              ] :
              []));
  if (parts.length === 0 && phases.length === 0) return null;
  return section(
      'Step time by phase', parts.length === 0 ? null : figure({
        title: 'Mean step by phase',
        says:
            'The step model at the mean batch by kernel family, and what decode waits for. "Difference to the mean" is what a changing batch adds (drawn where it is more than 0): the parts are of one step, the mean is of all.',
        spec: () => stackSpec(parts.filter((p) => p.y > 0), 'ms per step'),
        table: {
          columns: [
            {name: 'run', text: true}, {name: 'phase', text: true},
            {name: 'time', unit: 'ms', definition: 'Of a step of the mean batch.'}
          ],
          rows: parts.map((p) => [p.g, p.s, p.y])
        }
      }),
      phases, meanOverTime.length === 0 ? null : figure({
        title: 'Step time over time',
        says: 'Mean and longest batch step of each bucket of time, stall included.',
        spec: () => {
          const s = lineSpec(meanOverTime, 'ms', {format: ',.4~r', step: true});
          s.encoding.y.scale = logWhereWide(meanOverTime);
          return s;
        },
        table: () => timeTable(meanOverTime, 'step', 'ms', 'Batch step, stall included.')
      }));
}

function stallSection() {
  const rows = stallRows();
  const over = SERIES_RUNS.slice(0, RUNS_DRAWN).map((run) => {
    const points = buckets(run).flatMap(
        (b) => DATA.causes.map((c, o) => ({
                                 t: b.t,
                                 s: c.name,
                                 o,
                                 y: b.total('steps') > 0 ? b.stall(c.name) / b.total('steps') / 1e6 : 0
                               })));
    return figure({
      title: (RUNS.length > 1 ? run.label + ': ' : '') + 'Stall over time',
      says: 'Stall per batch step by cause, in each bucket of time.',
      spec: () => ({
        data: {values: points},
        mark: {type: 'area', interpolate: 'step-before'},
        encoding: {
          x: field('t', 'quantitative', 'simulated time, s', {scale: {nice: false}}),
          y: field('y', 'quantitative', 'ms per step', {stack: 'zero'}),
          color: seriesColour(points),
          order: {field: 'o', type: 'quantitative'},
          tooltip: [tip('s', ''), tip('t', 'time, s', ',.3~f'), tip('y', 'ms per step', ',.4~r')]
        }
      }),
      table: {
        columns:
            [{name: 'time', unit: 's'}, {name: 'cause', text: true}, {name: 'stall per step', unit: 'ms'}],
        rows: points.map((p) => [p.t, p.s, p.y])
      }
    });
  });
  return section(
      'Stall by cause', figure({
        title: 'Stall per step by cause',
        says:
            'What a batch step waits for, mean over the counted steps; the causes add up to the stall per step.',
        spec: () => stackSpec(rows, 'ms per step'),
        table: {
          columns: [
            {name: 'run', text: true}, {name: 'cause', text: true}, {name: 'meaning', text: true},
            {name: 'stall per step', unit: 'ms', definition: 'stall_ms_by_cause / steps'}
          ],
          rows: rows.map((r) => [r.g, r.s, r.meaning, r.y])
        }
      }),
      over);
}

function coverageSection() {
  const byTime =
      overTime((b) => b.total('selections') > 0 ? 1 - b.total('missed') / b.total('selections') : null);
  const grids = SERIES_RUNS.filter(hasGrid);
  if (byTime.length === 0 && grids.length === 0) return null;
  const partial = grids.filter((run) => {
    const counted = sum(run.series.coverage.selections.flat()) / run.series.coverage.stride_steps;
    const all = metricOf(run, 'selections');
    return all !== null && counted < all * 0.999;
  });
  const cellColumns = [
    {name: 'position', text: true}, {name: 'from step', definition: 'Steps since the tick.'},
    {name: 'to step'}, {name: 'selections'}, {name: 'missed'},
    {name: 'coverage', unit: 'fraction', definition: '1 - missed / selections'}
  ];
  const bySide = (title, says, xTitle, by) => {
    const rows = grids.flatMap((run) => gridMargin(run, by)).sort((a, b) => a.t - b.t);
    return figure({
      title,
      says,
      spec: () => {
        const s = lineSpec(rows, 'coverage', {format: '~%'});
        s.encoding.x.title = xTitle;
        s.encoding.y.scale = {zero: false};
        s.mark.point = {size: 18};
        s.encoding.tooltip[1].title = xTitle;
        return s;
      },
      table: {
        columns: [
          {name: 'run', text: true}, {name: xTitle}, {name: 'selections'},
          {name: 'coverage', unit: 'fraction', definition: '1 - missed / selections'}
        ],
        rows: rows.map((r) => [r.s, r.t, r.n, r.y])
      }
    });
  };
  return section(
      'Coverage', byTime.length === 0 ? null : figure({
        title: 'Coverage over time',
        says:
            'In each bucket of time. A request is counted when its window ends, so short buckets are uneven.',
        spec: () => {
          const s = lineSpec(byTime, 'coverage', {format: '~%', step: true});
          s.encoding.y.scale = {zero: false};
          return s;
        },
        table: () => timeTable(byTime, 'coverage', 'fraction', definitionOf('coverage'))
      }),
      grids.slice(0, RUNS_DRAWN)
          .map(
              (run) => figure({
                title: (RUNS.length > 1 ? run.label + ': ' : '') + 'Coverage by context position and step',
                says:
                    'Where in the context misses are, and how they grow with the steps since the tick that chose the pages. The column at the right is what was generated.',
                spec: () => gridSpec(gridCells(run)),
                table: () => ({
                  columns: cellColumns,
                  rows: gridCells(run).map((c) => [c.where, c.y, c.y2, c.n, c.missed, c.c])
                })
              })),
      partial.map(
          (run) => note(`${
              run.label}: requests that own only a part of their profile's pages are not in the two-dimensional chart and its sides, which hold ${
              formatPercent(
                  sum(run.series.coverage.selections.flat()) / run.series.coverage.stride_steps /
                  metricOf(run, 'selections'))} of the selections.`)),
      grids.length === 0 ?
          null :
          bySide(
              'Coverage by steps since the tick', 'Over all positions.', 'steps since the tick', (c) => c.y),
      grids.length === 0 ?
          null :
          bySide(
              'Coverage by context position',
              'Over all steps; oldest entries at 0, the end of the prompt at 1, generated entries behind it.',
              'share of the prompt', (c) => c.x));
}

function linkSection() {
  const busy = [
    ['Host link utilisation over time', 'link_busy_ns', 'link_utilisation'],
    ['Side-band utilisation over time', 'sideband_busy_ns', 'sideband_utilisation']
  ];
  const figures = busy.map(([title, total, metric]) => {
    const rows = overTime((b) => b.total(total) / 1e9 / b.seconds);
    return rows.length === 0 ? null : figure({
      title,
      says: `${definitionOf(metric)} ${COUNTED_AT_END}`,
      spec: () => lineSpec(rows, 'of the time', {format: '~%', step: true}),
      table: () => timeTable(rows, 'of the time', 'fraction', definitionOf(metric))
    });
  });
  const rate = overTime((b) => b.total('recall_bytes') / GIB / b.seconds);
  const throughput = overTime((b) => b.total('output_tokens') / b.seconds);
  if (rate.length === 0) return null;
  return section(
      'Links and throughput', figures, figure({
        title: 'Recall over time',
        says: 'Bytes recalled to one rank, per second.',
        spec: () => lineSpec(rate, 'GiB/s', {format: ',.3~r', step: true}),
        table: () => timeTable(rate, 'recall', 'GiB/s', definitionOf('recall_gib_per_s'))
      }),
      figure({
        title: 'Throughput over time',
        says: 'Output tokens per second of simulated time.',
        spec: () => lineSpec(throughput, 'tok/s', {step: true}),
        table: () => timeTable(
            throughput, 'throughput', 'tok/s', 'Output tokens / seconds of the bucket, idle time in it.')
      }));
}

function latencySection() {
  const columns = [
    {name: 'run', text: true}, {name: 'what', text: true},
    {name: 'samples', definition: 'Of the histogram; none are kept of more than 262,144 requests.'},
    ...['mean', 'p50', 'p90', 'p99', 'max'].map(
        (p) => ({
          name: p,
          unit: 'ms',
          definition: 'As result.json has it; empty where that metric is not defined.'
        }))
  ];
  const rows = RUNS.flatMap((run) => Object.entries(HISTOGRAMS).flatMap(([name, h]) => {
    const counts = storedHistogram(run, name);
    const values = ['mean', 'p50', 'p90', 'p99', 'max'].map((p) => metricOf(run, `${h.stem}_${p}`));
    return values.every((v) => v === null) ?
        [] :
        [[run.label, h.title, counts ? sum(counts.counts) : null, ...values]];
  }));
  const figures =
      SERIES_RUNS.slice(0, RUNS_DRAWN)
          .flatMap(
              (run) =>
                  Object.entries(HISTOGRAMS)
                      .filter(([name]) => histogramOf(run, name))
                      .map(([name, h]) => figure({
                             title: (RUNS.length > 1 ? run.label + ': ' : '') + h.title + ' distribution',
                             says: `${h.says} Counts on a logarithmic scale. Dashed: percentiles.`,
                             spec: () => histogramSpec(run, name),
                             table: () => histogramTable(run, name)
                           })));
  return section(
      'Latency distributions', dataTable({caption: 'Percentiles and counts', columns, rows}),
      el('div', {class: 'under'}, csvButton('percentiles', columns, () => rows)),
      el('div', {class: 'pair'}, figures));
}
