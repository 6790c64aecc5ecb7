// Simulated against measured, and predicted against published.

// ---- reconciliation ---------------------------------------------------------------------------

// reconcile.json, or summary.json with several scenarios; both were read by reconcile_reader.cc
// before they came into the page, so every member that is not optional is there.

const ms = (ns) => ns / 1e6;

// What repeats differ by; a file from before noise_error was written has it but for errors of sums.
function noiseOf(term) {
  if (term.noise_error !== undefined) return term.noise_error;
  return term.noise && !term.error_of_sums ? term.noise.error_p50 : null;
}

function termOf(scenario, name) {
  return scenario.terms.find((t) => t.term === name);
}

// Columns {..., value: thing => cell}.
function tableOf(columns, things) {
  return {columns, rows: things.map((thing) => columns.map((c) => c.value(thing)))};
}

const TERM_COLUMNS = [
  {name: 'term', text: true, value: (t) => t.term},
  {name: 'of', text: true, value: (t) => t.of, definition: 'Whether it is timed by step or by level-1 job.'},
  {name: 'n', value: (t) => t.stats.n, definition: 'Steps or jobs that both sides have.'},
  {name: 'measured', unit: 'ms', value: (t) => ms(t.stats.measured_median_ns), definition: 'Median.'},
  {name: 'simulated', unit: 'ms', value: (t) => ms(t.stats.simulated_median_ns), definition: 'Median.'},
  {name: 'share', value: (t) => t.step_share, definition: 'Of the measured time of all steps.'}, {
    name: 'error',
    value: (t) => t.error,
    definition: 'Median of |simulated / measured - 1|; of the sums where many steps lack one side.'
  },
  {name: 'noise', value: noiseOf, definition: 'The same between repeats of the measured run.'},
  {name: 'bound', value: (t) => t.bound, definition: 'The largest error that passes.'},
  {name: 'verdict', text: true, value: (t) => t.verdict},
  {name: 'bias', value: (t) => t.stats.bias, definition: 'Mean of simulated / measured - 1.'},
  {name: 'MAPE', value: (t) => t.stats.mape, definition: 'Mean of |simulated / measured - 1|.'},
  {name: 'P90', value: (t) => t.stats.error_p90, definition: 'Of |simulated / measured - 1|.'},
  {name: 'P99', value: (t) => t.stats.error_p99, definition: 'Of |simulated / measured - 1|.'}, {
    name: 'NRMSE',
    value: (t) => t.stats.nrmse,
    definition: 'Root mean square difference over the mean measured.'
  },
  {
    name: 'Pearson',
    unit: 'r',
    value: (t) => t.stats.pearson,
    definition: 'Correlation over the steps or jobs.'
  }
].map((c) => (c.text || c.unit || c.name === 'n' ? c : {...c, unit: 'fraction'}));

// Points {g: what they are of, k: number or name, x: measured ms, y: simulated ms, noise}.
function scatterFigure(title, says, points, kind) {
  const drawn = points.filter((p) => p.x > 0 && p.y > 0).map((p) => ({
                                                               ...p,
                                                               e: p.y / p.x - 1,
                                                               lo: p.x * Math.max(0.02, 1 - (p.noise || 0)),
                                                               hi: p.x * (1 + (p.noise || 0))
                                                             }));
  const left = points.length - drawn.length;
  const all = drawn.flatMap((p) => [p.x, p.y]);
  const span = [Math.min(...all) * 0.9, Math.max(...all) * 1.1];
  const scale = {type: span[1] / span[0] > 30 ? 'log' : 'linear', domain: span, nice: false, zero: false};
  const axis = {tickCount: 5, format: ',.3~r', labelOverlap: true};
  const x = field('x', 'quantitative', 'measured, ms', {scale, axis});
  const y = field('y', 'quantitative', 'simulated, ms', {scale, axis});
  const legend = new Set(points.map((p) => p.g)).size > 1 ?
      {columns: Math.max(2, Math.min(6, Math.floor(innerWidth / 170)))} :
      null;
  const color = field('g', 'nominal', null, {sort: null, legend});
  return figure({
    title,
    says: `${says} The line is y = x${
        drawn.some((p) => p.noise > 0) ?
            ', the bars are the noise of repeated measurements' :
            ''}.${left ? ` ${formatNumber(left)} that one side lacks are in the table only.` : ''}`,
    spec: () => ({
      height: 360,
      layer: [
        {
          data: {values: [{x: span[0], y: span[0]}, {x: span[1], y: span[1]}]},
          mark: {type: 'line', strokeDash: [4, 3], color: 'var(--ink)', clip: true},
          encoding: {x, y}
        },
        {
          data: {values: drawn.filter((p) => p.noise > 0)},
          mark: {type: 'rule', opacity: 0.35, clip: true},
          encoding: {
            x: {field: 'lo', type: 'quantitative'},
            x2: {field: 'hi'},
            y: {field: 'y', type: 'quantitative'},
            color
          }
        },
        {
          data: {values: drawn},
          mark: {type: 'point', filled: true, size: 26, opacity: 0.8},
          encoding: {
            x: {field: 'x', type: 'quantitative'},
            y: {field: 'y', type: 'quantitative'},
            color,
            tooltip: [
              tip('g', ''), tip('k', kind), tip('x', 'measured, ms', ',.4~r'),
              tip('y', 'simulated, ms', ',.4~r'), tip('e', 'error', '+.1%')
            ]
          }
        }
      ]
    }),
    table: {
      columns: [
        {name: 'of', text: true}, {name: kind, text: typeof points[0].k === 'string'},
        {name: 'measured', unit: 'ms'}, {name: 'simulated', unit: 'ms'},
        {name: 'error', unit: 'fraction', definition: 'simulated / measured - 1'},
        {name: 'noise', unit: 'fraction', definition: 'Between repeats of the measured run.'}
      ],
      rows: points.map((p) => [p.g, p.k, p.x, p.y, p.x > 0 ? p.y / p.x - 1 : null, p.noise])
    }
  });
}

const VERDICTS =
    [['within', COLOURS[2]], ['inside the noise', COLOURS[9]], ['BROKEN', COLOURS[3]], ['-', COLOURS[7]]];
const ERROR_DRAWN_MAX = 1.5;

// Bars of error by name, rows {l, e, n: noise, b: bound, v: verdict}.
function errorFigure(title, says, rows, table) {
  const errors = rows.filter((r) => isNumber(r.e));
  const largest = Math.max(...errors.flatMap((r) => [r.e, r.n || 0, r.b || 0]));
  const cut = largest > ERROR_DRAWN_MAX;
  const verdicts = VERDICTS.filter(([name]) => errors.some((r) => r.v === name));
  const y = field(
      'l', 'nominal', null, {sort: null, axis: {labelLimit: Math.min(220, innerWidth * 0.3), ticks: false}});
  const x = field('e', 'quantitative', 'error', {
    axis: {format: '.0%', tickCount: 6},
    scale: {domain: [0, Math.min(largest, ERROR_DRAWN_MAX) * 1.02], nice: false}
  });
  const mark = (name, what, colour) => ({
    data: {values: errors.filter((r) => isNumber(r[name]))},
    mark: {type: 'tick', thickness: 3, color: colour, clip: true},
    encoding: {y, x: {field: name, type: 'quantitative'}, tooltip: [tip('l', ''), tip(name, what, '.2%')]}
  });
  return figure({
    title,
    says: `${says} The plain mark is the noise of repeated measurements, the blue one the bound.${
        cut ? ` Cut at ${formatPercent(ERROR_DRAWN_MAX)}.` : ''}`,
    spec: () => ({
      height: {step: 24},
      layer: [
        {
          data: {values: errors},
          mark: {type: 'bar', clip: true},
          encoding: {
            y,
            x,
            color: field('v', 'nominal', null, {
              scale: {domain: verdicts.map((v) => v[0]), range: verdicts.map((v) => v[1])},
              legend: {labelExpr: 'datum.label === \'-\' ? \'not judged\' : datum.label'}
            }),
            tooltip: [tip('l', ''), tip('e', 'error', '.2%'), tip('v', 'verdict')]
          }
        },
        mark('n', 'noise', 'var(--ink)'), mark('b', 'bound', 'var(--accent)')
      ]
    }),
    table
  });
}

function delaysFigure(delays) {
  const rows = ['simulated', 'measured'].flatMap((s) => delays[s].map((jobs, d) => ({d, s, jobs})));
  if (rows.length === 0) return null;
  return figure({
    title: 'Publish delays',
    says: `Steps that decode on before a job's pages are published. Distance of the two distributions: ${
        formatNumber(delays.distance)} of 1.`,
    spec: () => ({
      data: {values: rows},
      height: {step: 18},
      mark: {type: 'bar'},
      encoding: {
        y: field('d', 'ordinal', 'steps', {axis: {ticks: false}}),
        yOffset: {field: 's', sort: null},
        x: field(
            'jobs', 'quantitative', 'jobs',
            {axis: {tickCount: Math.min(6, Math.max(...rows.map((r) => r.jobs))), format: '~d'}}),
        color: field('s', 'nominal', null, {sort: null}),
        tooltip: [tip('s', ''), tip('d', 'steps'), tip('jobs', 'jobs')]
      }
    }),
    table: {
      columns: [{name: 'side', text: true}, {name: 'steps'}, {name: 'jobs'}],
      rows: rows.map((r) => [r.s, r.d, r.jobs])
    }
  });
}

function tableWithCsv(caption, columns, rows) {
  return el(
      'div', {}, dataTable({caption, columns, rows}),
      el('div', {class: 'under'}, csvButton(slug(caption), columns, () => rows)));
}

function countsTable(counts) {
  const columns = [
    {name: 'count', text: true}, {name: 'simulated'}, {name: 'measured'},
    {name: 'same', text: true, definition: 'NO: they had to be.'}, {name: 'first difference', text: true}
  ];
  const same = (c) =>
      (c.simulated === c.measured && !c.first_difference ? 'yes' :
           c.must_match                                  ? 'NO' :
                                                           'no');
  return tableWithCsv(
      'Counts', columns,
      counts.map((c) => [c.count, c.simulated, c.measured, same(c), c.first_difference || null]));
}

function worstTable(worst, caption = 'Worst cases') {
  const columns = [
    {name: 'term', text: true}, {name: 'step or job'}, {name: 'measured', unit: 'ms'},
    {name: 'simulated', unit: 'ms'}, {name: 'error', unit: 'fraction', definition: 'simulated / measured - 1'}
  ];
  return tableWithCsv(
      caption, columns, worst.map((w) => [w.term, w.number, ms(w.measured_ns), ms(w.simulated_ns), w.error]));
}

function factsList(facts) {
  return el(
      'dl', {class: 'facts'},
      facts.map(([name, value]) => [el('dt', {}, oneLine(name)), el('dd', {}, oneLine(value))]));
}

// What a key of every scenario says, by scenario where there are several.
function linesOf(document, key) {
  if (!document.scenarios) return document[key];
  return document.scenarios.flatMap((s) => s[key].map((text) => `${s.scenario}: ${text}`));
}

function listOf(lines) {
  return el('ul', {class: 'notes'}, lines.map((text) => el('li', {}, oneLine(text))));
}

function verdictNote(document) {
  if (document.passed) return note('Within all bounds.');
  return el(
      'div', {class: 'violations'}, el('strong', {}, 'Not within bounds'),
      listOf(linesOf(document, 'failures')));
}

function oneReconciliation(document) {
  const points = document.terms.flatMap(
      (t) => t.points ? t.points.number.map((k, i) => ({
                                              g: t.term,
                                              k,
                                              x: ms(t.points.measured_ns[i]),
                                              y: ms(t.points.simulated_ns[i]),
                                              noise: noiseOf(t)
                                            })) :
                        []);
  return [
    points.some((p) => p.x > 0 && p.y > 0) ?
        scatterFigure(
            'Simulated against measured', 'Every point is a phase of one step or level-1 job.', points,
            'step or job') :
        note('No step was joined.'),
    errorFigure(
        'Error by phase', 'Median error of each term.',
        document.terms.map((t) => ({
                             l: t.term + (t.error_of_sums ? ' (sum)' : ''),
                             e: t.error,
                             n: noiseOf(t),
                             b: t.bound,
                             v: t.verdict
                           })),
        tableOf(TERM_COLUMNS, document.terms)),
    document.worst && document.worst.length ? worstTable(document.worst) : null, countsTable(document.counts),
    delaysFigure(document.publish_delay_steps)
  ];
}

function countsOf(scenario) {
  const differ =
      scenario.counts.some((c) => c.must_match && (c.simulated !== c.measured || c.first_difference));
  return differ ? 'DIFFER' : scenario.replays ? 'equal' : 'async';
}

const SUITE_COLUMNS = [
  {name: 'scenario', text: true, value: (s) => s.scenario},
  {name: 'outcome', text: true, value: (s) => (s.passed ? 'within' : 'BROKEN')},
  {name: 'counts', text: true, value: countsOf, definition: 'async: they may differ.'},
  {name: 'steps', value: (s) => termOf(s, 'step').stats.n},
  {name: 'measured', unit: 'ms', value: (s) => ms(termOf(s, 'step').stats.measured_median_ns)},
  {name: 'simulated', unit: 'ms', value: (s) => ms(termOf(s, 'step').stats.simulated_median_ns)},
  ...[['', 'step'], ['rest ', 'step - ballast']].flatMap(
      ([of, term]) => [{
                        name: of + 'error',
                        value: (s) => termOf(s, term).error,
                        definition: `Of ${term}: median of |simulated / measured - 1|.`
                      },
                       {
                         name: of + 'noise',
                         value: (s) => noiseOf(termOf(s, term)),
                         definition: 'The same between repeats of the measured run.'
                       },
                       {
                         name: of + 'bound',
                         value: (s) => termOf(s, term).bound,
                         definition: 'The largest error that passes.'
                       }].map((c) => ({...c, unit: 'fraction'})))
];

function ranksPart(ranks) {
  if (!ranks) return null;
  const points = ranks.configurations.map(
      (c) => ({g: 'configuration', k: c.configuration, x: ms(c.measured), y: ms(c.simulated), noise: null}));
  return [
    el('h3', {}, 'Rank agreement'),
    el('p', {},
       `Over ${formatNumber(points.length)} configurations by ${oneLine(ranks.cost)}: Kendall tau ${
           formatNumber(ranks.kendall_tau)}; choosing by simulation costs ${
           formatPercent(ranks.regret)} more than the best measured one.`),
    points.some((p) => p.x > 0 && p.y > 0) ?
        scatterFigure('Configurations', `By ${oneLine(ranks.cost)}.`, points, 'configuration') :
        null
  ];
}

function suiteReconciliation(document) {
  const scenarios = document.scenarios;
  const points = ['step', 'step - ballast'].flatMap((name) => scenarios.map((s) => {
    const t = termOf(s, name);
    return {
      g: name,
      k: s.scenario,
      x: ms(t.stats.measured_median_ns),
      y: ms(t.stats.simulated_median_ns),
      noise: noiseOf(t)
    };
  }));
  const table = tableOf(SUITE_COLUMNS, scenarios);
  const bars = (name) => scenarios.map((s) => {
    const t = termOf(s, name);
    return {l: s.scenario, e: t.error, n: noiseOf(t), b: t.bound, v: t.verdict};
  });
  return [
    tableWithCsv('Scenarios', table.columns, table.rows),
    points.some((p) => p.x > 0 && p.y > 0) ?
        scatterFigure(
            'Simulated against measured, by scenario', 'Every point is the median of a scenario.', points,
            'scenario') :
        null,
    errorFigure(
        'Error of a step by scenario', 'Median error of the steps of each scenario.', bars('step'), table),
    errorFigure(
        'Error without ballast by scenario', 'The same of steps less their ballast, which is no evidence.',
        bars('step - ballast'), table),
    ranksPart(document.rank_agreement)
  ];
}

function reconciliationTitle(document) {
  return document.scenarios ? `Reconciliation of ${formatNumber(document.scenarios.length)} scenarios` :
                              `Reconciliation: ${oneLine(document.scenario)}`;
}

function reconciliationSection(document) {
  const suite = Array.isArray(document.scenarios);
  const facts = suite ? [['scenarios', document.scenarios.length]] : [
    ['scenario', document.scenario], ['backend', document.backend],
    [
      'steps',
      `${document.steps}, the first ${document.from_step} left out, measured ${document.repeats} times`
    ],
    [
      'decisions',
      document.replays ? 'both sides replay the same ones, so counts must be equal' :
                         'publishes are asynchronous, so they may fall into other steps'
    ]
  ];
  const flags = linesOf(document, 'flags');
  return section(
      reconciliationTitle(document), verdictNote(document),
      suite ? suiteReconciliation(document) : oneReconciliation(document),
      flags.length ? [el('h3', {}, 'To know'), listOf(flags)] : null,
      el('h3', {}, 'Provenance of the reconciliation'),
      factsList([...facts, ...Object.entries(document.provenance)]));
}

// ---- validation -------------------------------------------------------------------------------

const FIDELITY_DRAWN_MAX = 0.3;  // one row is off by more than all others together

function validationSection(input) {
  const v = input.document;
  const rows = (v.rows || []).filter((r) => isNumber(r['error_%']));
  const errors = rows.map((r) => r['error_%'] / 100);
  const domain = [
    Math.max(-FIDELITY_DRAWN_MAX, Math.min(0, ...errors)),
    Math.min(FIDELITY_DRAWN_MAX, Math.max(0, ...errors))
  ];
  const cut = errors.some((e) => Math.abs(e) > FIDELITY_DRAWN_MAX);
  const label = (r) => `${r.row}: ${r['published result']}`;
  return section(
      'Fidelity: published against predicted', objectsTable('Fidelity table', v.rows || [], {
        class: 'A is arithmetic, B a fitted or predicted time, C shape or order only.',
        fitted: 'Whether a constant was fitted to this very row.',
        'error_%': 'predicted / published - 1, in percent.'
      }),
      rows.length === 0 ? null : figure({
        title: 'Error against published results',
        says: `Predicted / published - 1, by row; colour is the class of evidence.${
            cut ? ` Cut at ${formatPercent(FIDELITY_DRAWN_MAX)}.` : ''}`,
        spec: () => ({
          data: {values: rows.map((r) => ({l: label(r), e: r['error_%'] / 100, c: r.class}))},
          height: {step: 18},
          mark: {type: 'bar', clip: true},
          encoding: {
            y: field('l', 'nominal', null, {sort: null, axis: {labelLimit: Math.min(330, innerWidth * 0.3)}}),
            x: field('e', 'quantitative', 'error', {axis: {format: '+.0%'}, scale: {domain, nice: false}}),
            color: field('c', 'nominal', null),
            tooltip: [tip('l', ''), tip('e', 'error', '+.2%')]
          }
        }),
        table: {
          columns: [
            {name: 'row', text: true}, {name: 'published', text: true}, {name: 'predicted', text: true},
            {name: 'error', unit: 'fraction', definition: 'predicted / published - 1'},
            {name: 'class', text: true}
          ],
          rows: rows.map((r) => [label(r), r.published, r.predicted, r['error_%'] / 100, r.class])
        }
      }),
      (v.serving || []).length ? objectsTable('Engine constants under other choices', v.serving) : null,
      (v.kernels || []).length ? objectsTable('Kernel times kept out of the fit', v.kernels) : null);
}
