// What would take long to compute: made-up points of a sweep of 10,000 points in the form of sweep
// --format=json.
//   node make_documents.js RESULT_JSON FOLDER
// And FOLDER/hostile, a run folder, gets markup wherever it holds a name, and such a reconciliation.
'use strict';
const fs = require('fs');
const [RESULT, FOLDER] = process.argv.slice(2);

let state = 12345;
const random = () => (state = (state * 1103515245 + 12345) % 2147483648) / 2147483648;

const metrics = JSON.parse(fs.readFileSync(RESULT)).metrics;
const axes = {
  'policy.tau_steps': [8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096],
  'policy.threshold': [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95],
  'workload.concurrency': [1, 2, 4, 8, 12, 16, 24, 32, 48, 64],
  'policy.page_kmax': [8, 16, 32, 48, 64, 96, 128, 192, 256, 384]
};
const points = [];
for (const tau of axes['policy.tau_steps'])
  for (const threshold of axes['policy.threshold'])
    for (const n of axes['workload.concurrency'])
      for (const kmax of axes['policy.page_kmax']) {
        const own = {};
        for (const [name, metric] of Object.entries(metrics)) {
          own[name] = typeof metric.value === 'number' ?
              {value: metric.value * (0.5 + random()), unit: metric.unit} :
              metric;
        }
        own.coverage = {value: 1 - 0.4 / (1 + kmax / 40) - tau / 12000 - 0.02 * random(), unit: 'fraction'};
        own.hbm_kv_gib_per_request = {value: 0.1 + kmax / 400 + 0.01 * random(), unit: 'GiB'};
        own.stall_ms_per_token = {
          value: n * kmax / tau / 500 * (1 - threshold / 2) + 0.001 * random(),
          unit: 'ms'
        };
        points.push({
          point: points.length,
          values: {
            'policy.tau_steps': tau,
            'policy.threshold': threshold,
            'workload.concurrency': n,
            'policy.page_kmax': kmax
          },
          result_digest: 'made-up',
          event_digest: 'made-up',
          metrics: own
        });
      }
const better = (a, b) => a.metrics.coverage.value >= b.metrics.coverage.value &&
    a.metrics.hbm_kv_gib_per_request.value <= b.metrics.hbm_kv_gib_per_request.value &&
    a.metrics.stall_ms_per_token.value <= b.metrics.stall_ms_per_token.value;
const front = points.filter((p) => !points.some((q) => q !== p && better(q, p))).map((p) => p.point);
fs.writeFileSync(FOLDER + '/sweep.json', JSON.stringify({
  sweep: 'made_up_10000',
  build: 'made up',
  limits: [],
  front,
  points,
  objectives: [
    {metric: 'hbm_kv_gib_per_request', maximize: false}, {metric: 'coverage', maximize: true},
    {metric: 'stall_ms_per_token', maximize: false}
  ]
}));

const MARKUP = '</script><img onerror=window.owned=1 src=x>';
const file = FOLDER + '/hostile/result.json';
const hostile = JSON.parse(fs.readFileSync(file));
const pools = JSON.parse(fs.readFileSync(FOLDER + '/hostile/series.json'));
Object.assign(hostile, {
  scenario: MARKUP,
  version: MARKUP,
  kind: MARKUP,
  event_digest: MARKUP,
  notes: [MARKUP, '<!--'],
  violations: [{what: MARKUP, count: 3}],
  inputs: [{role: MARKUP, name: MARKUP, digest: MARKUP, provenance: MARKUP}]
});
hostile.metrics[MARKUP] = {
  value: 1,
  unit: MARKUP
};
hostile.footprint[0].pool = pools.pools[0].pool = MARKUP;
fs.writeFileSync(file, JSON.stringify(hostile));
fs.writeFileSync(FOLDER + '/hostile/series.json', JSON.stringify(pools));
fs.appendFileSync(FOLDER + '/hostile/scenario.txtpb', `# ${MARKUP}\n`);

const reconcile = JSON.parse(fs.readFileSync(FOLDER + '/reconcile/reconcile.json'));
reconcile.scenario = reconcile.backend = reconcile.flags[0] = reconcile.provenance.device = MARKUP;
reconcile.provenance[MARKUP] = MARKUP;
reconcile.failures.push(MARKUP);
reconcile.terms[2].term = reconcile.worst[0].term = MARKUP;
reconcile.counts[0].count = reconcile.counts[0].first_difference = MARKUP;
fs.writeFileSync(FOLDER + '/hostile/reconcile.json', JSON.stringify(reconcile));
