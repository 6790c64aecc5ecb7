// Simulated against measured, and predicted against published.

// ---- reconciliation ---------------------------------------------------------------------------

// reconcile.json, of one scenario or of several. In the form that is drawn: phases [{phase, n,
// measured_ms, simulated_ms, mape, bias, noise, bound, verdict}], points [{scenario, phase, step,
// measured_ns, simulated_ns}]. A document that has terms and no points is drawn by their medians.
function reconciliationOf(document) {
  const parts = Array.isArray(document.scenarios) ? document.scenarios : [document];
  const terms =
      parts.flatMap((part) => (part.terms || []).map((t) => ({
                                                       scenario: part.scenario,
                                                       phase: t.term,
                                                       of: t.of,
                                                       n: t.stats.n,
                                                       measured_ms: t.stats.measured_median_ns / 1e6,
                                                       simulated_ms: t.stats.simulated_median_ns / 1e6,
                                                       error: t.error,
                                                       mape: t.stats.mape,
                                                       bias: t.stats.bias,
                                                       error_p90: t.stats.error_p90,
                                                       noise: t.noise ? t.noise.mape : null,
                                                       step_share: t.step_share,
                                                       bound: t.bound,
                                                       verdict: t.verdict
                                                     })));
  return {
    phases: terms.length > 0 ? terms : document.phases || [],
    points: document.points || terms.map((t) => ({
                                           scenario: t.scenario,
                                           phase: t.phase,
                                           measured_ns: t.measured_ms * 1e6,
                                           simulated_ns: t.simulated_ms * 1e6
                                         })),
    medians: !document.points,
    counts: parts.flatMap((part) => (part.counts || []).map((c) => ({scenario: part.scenario, ...c}))),
    failures: parts.flatMap(
        (part) => [...(part.failures || []), ...(part.flags || [])].map(
            (text) => (part.scenario ? part.scenario + ': ' : '') + text)),
    ranks: document.rank_agreement || null,
    facts: [
      ...Object.entries(document).filter(([, v]) => typeof v !== 'object' || v === null),
      ...Object.entries(document.provenance || {})
    ],
  };
}

const ERROR_COLUMNS = {
  mape: 'Mean absolute error over the points, as a share of what was measured.',
  bias: 'Mean signed error, as a share.',
  noise: 'Half width of what repeated measurements differ by, as a share.',
  n: 'Points that were joined.',
  measured_ms: 'Mean measured, ms.',
  simulated_ms: 'Mean simulated, ms.',
  bound: 'The largest error that passes.',
  step_share: 'Of the measured step.'
};
const ERROR_SHARES = ['mape', 'bias', 'noise', 'bound', 'error', 'error_p90', 'step_share'];
const POINTS_DRAWN = 4000;

function reconciliationSection(document, name) {
  const recon = reconciliationOf(document);
  const phases = recon.phases;
  const noise = new Map(phases.map((p) => [p.phase, p.noise || 0]));
  const points = recon.points.filter((p) => p.measured_ns > 0 && p.simulated_ns > 0)
                     .map((p) => ({
                            ...p,
                            x: p.measured_ns / 1e6,
                            y: p.simulated_ns / 1e6,
                            e: p.simulated_ns / p.measured_ns - 1,
                            lo: p.measured_ns / 1e6 * (1 - (noise.get(p.phase) || 0)),
                            hi: p.measured_ns / 1e6 * (1 + (noise.get(p.phase) || 0))
                          }));
  const every = Math.ceil(points.length / POINTS_DRAWN) || 1;
  const drawn = points.filter((p, i) => i % every === 0);
  const span = points.length ?
      [
        Math.min(...points.map((p) => Math.min(p.x, p.y))) * 0.9,
        Math.max(...points.map((p) => Math.max(p.x, p.y))) * 1.1
      ] :
      [0, 1];
  const log = span[1] / span[0] > 30;
  const scale = {type: log ? 'log' : 'linear', domain: span, nice: false, zero: false};
  const x = field(
            'x', 'quantitative', 'measured, ms',
            {scale, axis: {tickCount: 5, format: ',.3~r', labelOverlap: true}}),
        y = field(
            'y', 'quantitative', 'simulated, ms',
            {scale, axis: {tickCount: 5, format: ',.3~r', labelOverlap: true}});
  const pointColumns = [
    {name: 'scenario', text: true}, {name: 'phase', text: true}, {name: 'step'},
    {name: 'measured', unit: 'ms'}, {name: 'simulated', unit: 'ms'},
    {name: 'error', unit: 'fraction', definition: 'simulated / measured - 1'}
  ];
  const cells = (list) =>
      list.map((p) => [p.scenario, p.phase, isNumber(p.step) ? p.step : null, p.x, p.y, p.e]);
  const worst = [...points].sort((a, b) => Math.abs(b.e) - Math.abs(a.e)).slice(0, 20);
  const worstPhases = phases.filter((p) => isNumber(p.mape));
  const plain = recon.facts;
  const errorColumns = phases.length ?
      Object.keys(phases[0]).filter(
          (k) => typeof phases[0][k] !== 'object' || phases.some((p) => isNumber(p[k]))) :
      [];
  return section(
      `Reconciliation: ${oneLine(name)}`,
      plain.length === 0 ? null :
                           el('dl', {class: 'facts'},
                              plain.map(([k, v]) => [el('dt', {}, oneLine(k)), el('dd', {}, oneLine(v))])),
      points.length === 0 ? note('No joined points.') : figure({
        title: 'Simulated against measured',
        says: `Each point ${
            recon.medians ?
                'the median of a term' :
                'a joined span'}; the line is y = x, the bars the noise of repeated measurements. ${
            every > 1 ? `One in ${every} is drawn; the table has all.` : ''}`,
        spec: () => ({
          height: 340,
          layer: [
            {
              data: {values: [{x: span[0], y: span[0]}, {x: span[1], y: span[1]}]},
              mark: {type: 'line', strokeDash: [4, 3], color: 'var(--ink)'},
              encoding: {x, y}
            },
            {
              data: {values: drawn},
              mark: {type: 'rule', opacity: 0.35},
              encoding: {
                x: {field: 'lo', type: 'quantitative'},
                x2: {field: 'hi'},
                y: {field: 'y', type: 'quantitative'},
                color: field('phase', 'nominal', null)
              }
            },
            {
              data: {values: drawn},
              mark: {type: 'point', filled: true, size: 26},
              encoding: {
                x: {field: 'x', type: 'quantitative'},
                y: {field: 'y', type: 'quantitative'},
                color: field('phase', 'nominal', null),
                tooltip: [
                  tip('scenario', ''), tip('phase', ''), tip('step', 'step'),
                  tip('x', 'measured, ms', ',.4~r'), tip('y', 'simulated, ms', ',.4~r'),
                  tip('e', 'error', '+.1%')
                ]
              }
            }
          ]
        }),
        table: {columns: pointColumns, rows: cells(points)}
      }),
      worstPhases.length === 0 ? null : figure({
        title: 'Error by phase',
        says:
            'Mean absolute error of each phase (bar) beside the noise of repeated measurements (tick); bias is in the table.',
        spec: () => ({
          height: {step: 28},
          layer: [
            {
              data: {values: worstPhases},
              mark: {type: 'bar', color: COLOURS[0]},
              encoding: {
                y: field('phase', 'nominal', null, {sort: '-x'}),
                x: field('mape', 'quantitative', 'mean absolute error', {axis: {format: '.0%'}}),
                tooltip: [tip('phase', ''), tip('mape', 'MAPE', '.2%'), tip('bias', 'bias', '+.2%')]
              }
            },
            {
              data: {values: worstPhases.filter((p) => isNumber(p.noise))},
              mark: {type: 'tick', color: 'var(--bad)', thickness: 3},
              encoding: {
                y: field('phase', 'nominal', null, {sort: '-x'}),
                x: {field: 'noise', type: 'quantitative'},
                tooltip: [tip('noise', 'noise', '.2%')]
              }
            }
          ]
        }),
        table: {
          columns: errorColumns.map((k) => ({
                                      name: k,
                                      text: phases.some((p) => typeof p[k] === 'string'),
                                      definition: ERROR_COLUMNS[k],
                                      unit: ERROR_SHARES.includes(k) ? 'fraction' :
                                          k.endsWith('_ms')          ? 'ms' :
                                                                       null
                                    })),
          rows: phases.map(
              (p) => errorColumns.map(
                  (k) =>
                      (typeof p[k] === 'boolean' ? (p[k] ? 'yes' : 'no') :
                           p[k] === undefined    ? null :
                                                   p[k])))
        }
      }),
      recon.failures.map((text) => note(oneLine(text))),
      recon.counts.length === 0 ? null : objectsTable('Counts, simulated and measured', recon.counts),
      recon.ranks && recon.ranks.configurations ?
          el('div', {},
             el('p', {},
                `Rank agreement over ${oneLine(recon.ranks.cost)}: Kendall tau ${
                    formatNumber(recon.ranks.kendall_tau)}, regret ${formatPercent(recon.ranks.regret)}.`),
             objectsTable('Configurations', recon.ranks.configurations)) :
          null,
      worst.length === 0 ?
          null :
          el('div', {}, dataTable({caption: 'Worst cases', columns: pointColumns, rows: cells(worst)}),
             el('div', {class: 'under'}, csvButton('worst-cases', pointColumns, () => cells(worst)))));
}

// ---- validation -------------------------------------------------------------------------------

function validationSection(input) {
  const v = input.document;
  const rows = (v.rows || []).filter((r) => isNumber(r['error_%']));
  const label = (r) => `${r.row}: ${r['published result']}`;
  return section(
      'Fidelity: published against predicted', objectsTable('Fidelity table', v.rows || [], {
        class: 'A is arithmetic, B a fitted or predicted time, C shape or order only.',
        fitted: 'Whether a constant was fitted to this very row.',
        'error_%': 'predicted / published - 1, in percent.'
      }),
      rows.length === 0 ? null : figure({
        title: 'Error against published results',
        says: 'Predicted / published - 1, by row; colour is the class of evidence.',
        spec: () => ({
          data: {values: rows.map((r) => ({l: label(r), e: r['error_%'] / 100, c: r.class}))},
          height: {step: 18},
          mark: {type: 'bar'},
          encoding: {
            y: field('l', 'nominal', null, {sort: null, axis: {labelLimit: Math.min(330, innerWidth * 0.3)}}),
            x: field('e', 'quantitative', 'error', {axis: {format: '+.0%'}}),
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
