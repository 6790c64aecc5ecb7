// Timelines, capacities, and what every page ends with.

// ---- phases.csv: spans of steps and ticks, simulated or measured ---------------------------------

function phasesFigure(run) {
  const rows = (run.phases || [])
                   .filter((p) => p.phase !== 'step' && p.n > 0)
                   .map((p, o) => ({g: run.label, s: p.phase, o, n: p.n, y: p.duration_ns / p.n / 1e6}));
  return rows.length === 0 ? null : figure({
    title: (RUNS.length > 1 ? run.label + ': ' : '') + 'Recorded phases',
    says: `Mean of each phase in phases.csv, ${
        run.result.kind}. Phases of a step add up to it; those of a level-1 job run beside the decode.`,
    spec: () => ({
      data: {values: rows},
      height: {step: 22},
      mark: {type: 'bar', color: COLOURS[0]},
      encoding: {
        y: field('s', 'nominal', null, {sort: null}),
        x: field('y', 'quantitative', 'ms'),
        tooltip: [tip('s', ''), tip('y', 'mean, ms', ',.4~r'), tip('n', 'times')]
      }
    }),
    table: {
      columns: [
        {name: 'phase', text: true},
        {name: 'times', definition: 'Rows of phases.csv for the whole batch or job.'},
        {name: 'mean', unit: 'ms'}
      ],
      rows: rows.map((r) => [r.s, r.n, r.y])
    }
  });
}

// ---- timeline ---------------------------------------------------------------------------------

// Spans of one second, or of what there is, chosen with a slider.
function timelineFigures(run) {
  const timeline = run.timeline;
  const spans = timeline.spans;
  if (spans.begin_us.length === 0) return [];
  const first = spans.begin_us[0] / 1e6;
  const last = spans.begin_us.reduce((m, b, i) => Math.max(m, b + spans.length_us[i]), 0) / 1e6;
  const window = Math.min(1, last - first);
  const steps = Math.max(1, Math.ceil((last - first) / window));
  let from = first;
  const rows = () => spans.begin_us.flatMap((begin, i) => {
    const b = begin / 1e6, e = b + spans.length_us[i] / 1e6;
    return e < from || b > from + window ? [] : [{
      track: timeline.tracks[spans.track[i]],
      name: timeline.names[spans.name[i]],
      b: Math.max(b, from),
      e: Math.min(Math.max(e, b + window / 4000), from + window),
      at: b,
      ms: spans.length_us[i] / 1e3
    }];
  });
  const title = (RUNS.length > 1 ? run.label + ': ' : '') + 'Timeline of one second';
  const id = uniqueId(title + ' begin');
  const shown = el('output', {for: id
  });
  const say = () => {
    shown.textContent = `from ${from.toFixed(3)} s`;
  };
  const slider = el('input', {
    type: 'range',
    id,
    min: '0',
    max: String(Math.max(0, steps - 1)),
    step: '1',
    value: '0',
    oninput: (event) => {
      from = first + Number(event.target.value) * window;
      say();
      for (const f of figures) f.update();
    }
  });
  say();
  const time = field(
      'b', 'quantitative', `${oneLine(run.result.kind)} time, s`, {axis: {format: '.3f', tickCount: 5}});
  const figures = [figure({
    title,
    says:
        'Spans of each track; a bar shorter than a pixel is drawn as one. The whole file, with arrows, opens in ui.perfetto.dev.',
    controls:
        el('div', {class: 'controls'},
           el('label',
              {for: id
              },
              'Second '),
           slider, shown),
    spec: () => ({
      data: {values: rows()},
      height: {step: 44},
      mark: {type: 'bar', height: 20},
      encoding: {
        y: field('track', 'nominal', null, {sort: timeline.tracks, axis: {ticks: false}}),
        x: {...time, scale: {domain: [from, from + window], nice: false}},
        x2: {field: 'e'},
        color: field('name', 'nominal', null, {sort: timeline.names}),
        tooltip: [tip('name', ''), tip('at', 'begins, s', ',.6~f'), tip('ms', 'lasts, ms', ',.4~r')]
      }
    }),
    table: () => ({
      columns: [
        {name: 'track', text: true}, {name: 'span', text: true}, {name: 'begins', unit: 's'},
        {name: 'lasts', unit: 'ms'}
      ],
      rows: rows().map((r) => [r.track, r.name, r.at, r.ms])
    })
  })];
  const counters = timeline.counters;
  const names = [...new Set(counters.name)];
  const values = () => counters.at_us.flatMap((us, i) => us / 1e6 < from || us / 1e6 > from + window ? [] : [
    {t: us / 1e6, y: counters.value[i], s: timeline.names[counters.name[i]]}
  ]);
  if (names.length > 0) {
    figures.push(figure({
      title: (RUNS.length > 1 ? run.label + ': ' : '') + 'Counters in that second',
      says: 'Resident bytes, reserve blocks and link use as the timeline has them; each its own scale.',
      spec: () => ({
        data: {values: values()},
        facet: {
          row: field('s', 'nominal', null, {
            header: {
              labelOrient: 'top',
              labelAnchor: 'start',
              labelAngle: 0,
              labelColor: 'var(--ink)',
              labelFontSize: 12
            }
          })
        },
        spec: {
          width: Math.max(180, document.getElementById('content').clientWidth - 80),
          height: 60,
          mark: {type: 'line', interpolate: 'step-after', point: {size: 14}},
          encoding: {
            x: field(
                't', 'quantitative', 'simulated time, s',
                {scale: {domain: [from, from + window], nice: false}}),
            y: field('y', 'quantitative', null, {axis: {format: '.4~s', tickCount: 3}, scale: {zero: false}}),
            tooltip: [tip('s', ''), tip('t', 'time, s', ',.6~f'), tip('y', 'value', ',.6~s')]
          }
        },
        resolve: {scale: {y: 'independent'}},
        autosize: {type: 'pad'}
      }),
      table: () => ({
        columns: [{name: 'counter', text: true}, {name: 'time', unit: 's'}, {name: 'value'}],
        rows: values().map((r) => [r.s, r.t, r.y])
      })
    }));
  }
  return figures;
}

function timelineSection() {
  const runs = RUNS.filter((run) => run.timeline);
  if (runs.length === 0) return null;
  const cut = runs.filter((run) => run.timeline.left_out > 0);
  return section(
      'Timeline', runs.slice(0, RUNS_DRAWN).map(timelineFigures),
      cut.map(
          (run) => note(`${run.label}: ${
              formatNumber(run.timeline.left_out)} later events of timeline.json are not in this page.`)));
}

// ---- capacity ---------------------------------------------------------------------------------

const CAPACITY_LINES = [
  'throughput_tok_per_s', 'tpot_ms_p99', 'ttft_ms_p99', 'coverage', 'stall_fraction', 'link_utilisation',
  'hbm_total_gib_peak', 'host_gib_peak'
];

function loadOf(curve) {
  return 'requests' in curve[0] ? {key: 'requests', title: 'concurrent requests'} :
                                  {key: 'req_per_s', title: 'requests per second'};
}

function capacityFigure(capacity, curve, load, name) {
  const rows =
      curve.filter((p) => isNumber(p[name]))
          .map((p) => ({x: p[load.key], y: p[name], h: p.holds ? 'all limits hold' : 'a limit fails'}));
  if (rows.length === 0) return null;
  const d = DEFINITIONS.get(name);
  return figure({
    title: `${capacity.scenario}: ${name} over load`,
    says: d ? d.definition : '',
    spec: () => ({
      height: 180,
      layer: [
        {
          data: {values: rows},
          mark: {type: 'line', color: 'var(--line)'},
          encoding: {
            x: field('x', 'quantitative', load.title),
            y: field('y', 'quantitative', d && d.unit !== 'fraction' ? d.unit : '', {
              axis: {tickCount: 4, format: d && d.unit === 'fraction' ? '~%' : ',.4~r'},
              scale: {zero: false}
            })
          }
        },
        {
          data: {values: rows},
          mark: {type: 'point', filled: true, size: 50, opacity: 1},
          encoding: {
            x: {field: 'x', type: 'quantitative'},
            y: {field: 'y', type: 'quantitative'},
            color: field(
                'h', 'nominal', null,
                {scale: {domain: ['all limits hold', 'a limit fails'], range: [COLOURS[2], COLOURS[3]]}}),
            shape: {field: 'h', type: 'nominal', legend: null},
            tooltip: [tip('x', load.title, ',.4~r'), tip('y', name, ',.5~r'), tip('h', '')]
          }
        },
        {
          data: {values: [{x: capacity[load.key]}]},
          mark: {type: 'rule', strokeDash: [4, 3]},
          encoding: {x: {field: 'x', type: 'quantitative'}, tooltip: [tip('x', 'capacity', ',.5~r')]}
        }
      ]
    }),
    table: {
      columns: [
        {name: load.title}, {name, unit: d && d.unit, definition: definitionOf(name)},
        {name: 'limits', text: true}
      ],
      rows: rows.map((r) => [r.x, r.y, r.h])
    }
  });
}

function objectsTable(caption, list, definitions) {
  const names = [...new Set(list.flatMap((row) => Object.keys(row)))];
  const columns = names.map((name) => ({
                              name,
                              text: list.some((row) => typeof row[name] === 'string'),
                              definition: (definitions || {})[name] || definitionOf(name) || null,
                              unit: (DEFINITIONS.get(name) || {}).unit
                            }));
  const rows = list.map(
      (row) => names.map(
          (name) => typeof row[name] === 'boolean' ? (row[name] ? 'yes' : 'no') :
              row[name] === undefined              ? null :
                                                     row[name]));
  return el(
      'div', {}, dataTable({caption, columns, rows}),
      el('div', {class: 'under'}, csvButton(slug(caption), columns, () => rows)));
}

function capacitySection(input) {
  const c = input.document;
  const curve = c.curve.length ? c.curve : null;
  const load = curve ? loadOf(curve) : null;
  const cards =
      el('ul', {class: 'cards'},
         el('li', {}, el('span', {class: 'label'}, 'Capacity'),
            el('span', {class: 'figure', title: 'The largest load at which every limit holds.'},
               load ? formatNumber(c[load.key]) : '-'),
            el('span', {class: 'sentence'}, load ? load.title : '')),
         el('li', {class: 'binding'}, el('span', {class: 'label'}, 'Binding limit'),
            el('span', {class: 'figure'}, oneLine(c.binding || 'none')),
            el('span', {class: 'sentence'}, c.next ? 'behind it ' + oneLine(c.next) : '')),
         el('li', {}, el('span', {class: 'label'}, 'Throughput there'),
            el('span', {
              class: 'figure',
              title: hoverText(c.throughput_tok_per_s, 'tok/s', definitionOf('throughput_tok_per_s'))
            },
               formatQuantity(c.throughput_tok_per_s, 'tok/s')),
            el('span', {class: 'sentence'}, '')));
  return section(
      `Capacity of ${oneLine(c.scenario)}`, cards, (c.remarks || []).map((r) => note(oneLine(r))),
      objectsTable('Limits of ' + oneLine(c.scenario), c.limits || []),
      (c.ceilings || []).length ?
          objectsTable('Memory of ' + oneLine(c.scenario) + ': what it would hold', c.ceilings) :
          null,
      curve ? el('div', {class: 'pair'}, CAPACITY_LINES.map((name) => capacityFigure(c, curve, load, name))) :
              null,
      el('p', {class: 'muted'}, `Scenario digest ${oneLine(c.scenario_digest)}.`));
}

// ---- what every page has ----------------------------------------------------------------------

function metricsSection() {
  const names = [
    ...DEFINITIONS.keys(),
    ...new Set(RUNS.flatMap((run) => Object.keys(run.result.metrics)).filter((n) => !DEFINITIONS.has(n)))
  ];
  return section(
      'Metrics',
      metricsTable(names, 'Every metric with its unit, scope and formula; percentiles are nearest-rank'));
}

function notesSection() {
  const blocks =
      RUNS.filter((run) => run.result.notes.length > 0)
          .map(
              (run) =>
                  [RUNS.length > 1 ? el('h3', {}, run.label) : null,
                   el('ul', {class: 'notes'}, run.result.notes.map((n) => el('li', {}, oneLine(n))))]);
  return blocks.length === 0 ?
      null :
      section(
          'Notes', el('p', {class: 'muted'}, 'What is assumed, fitted, rounded or not validated.'), blocks);
}

// The modelled GPU, as the resolved scenario spells it.
function hardwareOf(run) {
  const found = /\bgpu:\s*"((?:[^"\\]|\\.)*)"/.exec(run.scenario || '');
  return found ? found[1] : null;
}

function deviceOf(run) {
  const device = run.result.device && run.result.device.name;
  if (device) return device;
  return run.host && run.host.cpu ? `${run.result.kind} on ${run.host.cpu}` : 'not recorded';
}

// A seed can be larger than a double holds: its digits are taken from the text.
function seedOf(run) {
  return run.seedText;
}

function provenanceSection() {
  const facts = (run) => [
      ['scenario', run.result.scenario], ['scenario digest', run.result.scenario_digest],
      ['seed', seedOf(run)], ['event digest', run.result.event_digest],
      ['tierscope', `${run.result.version}, ${run.result.kind}, result schema ${run.result.schema_version}`],
      ['hardware', hardwareOf(run)], ['device', deviceOf(run)], ['build', run.host && run.host.build_type],
      [
        'wall time',
        run.host && isNumber(run.host.sim_wall_s) ?
            `${formatNumber(run.host.sim_wall_s)} s, ${formatNumber(run.host.sim_events)} events` :
            null
      ],
      ...run.result.inputs.map((i) => [i.role, `${i.name} ${i.digest} ${i.provenance}`]),
      ['folder', run.name]];
  return section(
      'Provenance', el('p', {class: 'muted'}, 'What to repeat to get these results.'),
      RUNS.map(
          (run) =>
              [RUNS.length > 1 ? el('h3', {}, run.label) : null,
               el('dl', {class: 'facts'},
                  facts(run)
                      .filter(([, v]) => v)
                      .map(([k, v]) => [el('dt', {}, oneLine(k)), el('dd', {}, oneLine(v))])),
               run.scenario ? el('details', {class: 'data'}, el('summary', {}, 'The resolved scenario'),
                                 el('pre', {tabindex: '0'}, run.scenario)) :
                              null]));
}
