// Puts the page together, then draws its charts one after the other.

const MARKS = {
  began: performance.now()
};

// Seeds as the file spells them: JSON.parse rounds those above 2^53.
(function takeSeeds() {
  const seeds =
      [...document.getElementById('data').textContent.matchAll(/[,{]"seed":(\d+)/g)].map((m) => m[1]);
  RUNS.forEach((run, i) => {
    run.seedText = seeds[i] && Number(seeds[i]) === run.result.seed ? seeds[i] : String(run.result.seed);
  });
})();

function themeButton() {
  const root = document.documentElement;
  const dark = () => (root.dataset.theme ||
                      (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light')) === 'dark';
  const button = el('button', {
    type: 'button',
    id: 'theme',
    onclick: () => {
      root.dataset.theme = dark() ? 'light' : 'dark';
      say();
    }
  });
  const say = () => {
    button.textContent = dark() ? 'Light' : 'Dark';
    button.setAttribute('aria-label', `Change to the ${dark() ? 'light' : 'dark'} theme`);
  };
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', say);
  say();
  return button;
}

function pageTitle() {
  if (RUNS.length === 1 && DATA.inputs.length === 1) return RUNS[0].label;
  if (RUNS.length > 1) return `${RUNS.length} runs side by side`;
  const first = DATA.inputs[0];
  if (first.kind === 'reconciliation') return reconciliationTitle(first.document);
  return oneLine(
      first.document && (first.document.sweep || first.document.scenario) || (RUNS[0] && RUNS[0].label) ||
      first.name);
}

// A line a run: scenario, version, seed, digests and device; the section Provenance has all of it.
function identityLines() {
  const lines =
      RUNS.slice(0, RUNS_DRAWN)
          .map(
              (run) => [`${run.label}: ${run.result.kind} by tierscope ${run.result.version}`,
                        `seed ${seedOf(run)}`, `scenario ${run.result.scenario_digest.slice(0, 12)}`,
                        run.result.event_digest && `events ${run.result.event_digest.slice(0, 12)}`,
                        [hardwareOf(run), deviceOf(run)].filter(Boolean).join('; ')]
                           .filter(Boolean)
                           .join(', '));
  const others = DATA.inputs.filter((i) => i.kind !== 'run')
                     .map(
                         (i) => `${i.kind} ${oneLine(i.document.sweep || i.document.scenario || i.name)}` +
                             (i.document.build ? `, built by ${oneLine(i.document.build)}` : ''));
  return [...lines, ...others].map((text) => el('p', {class: 'muted identity'}, oneLine(text)));
}

function sections() {
  const runs = RUNS.length === 0 ? [] : [
    summarySection, comparisonSection, footprintSection, stepSection, stallSection, coverageSection,
    linkSection, latencySection, timelineSection
  ].map((make) => make());
  const documents = DATA.inputs.flatMap((input) => {
    switch (input.kind) {
      case 'sweep':
        return [sweepSection(input)];
      case 'capacity':
        return [capacitySection(input)];
      case 'validation':
        return [validationSection(input)];
      case 'reconciliation':
        return [reconciliationSection(input.document)];
      default:
        return input.reconcile ? [reconciliationSection(input.reconcile)] : [];
    }
  });
  const ends = RUNS.length === 0 ? [] : [metricsSection(), notesSection(), provenanceSection()];
  return [...runs, ...documents, ...ends].filter(Boolean);
}

function buildPage() {
  document.title = `${pageTitle()} - tierscope`;
  document.getElementById('top').append(
      el('div', {class: 'bar'}, el('p', {class: 'kicker'}, 'tierscope report'), themeButton()),
      el('h1', {}, pageTitle()), ...identityLines());
  const made = sections();
  document.getElementById('content').append(...made);
  document.getElementById('contents')
      .append(
          el('ul', {},
             made.map((s) => el('li', {}, el('a', {href: '#' + s.id}, s.querySelector('h2').textContent)))));
  const charts = 'Charts by Vega and Vega-Lite, University of Washington Interactive Data Lab, under the ' +
      '3-clause BSD licence; all licences stand in the source of this file.';
  document.getElementById('end').append(
      el('p', {class: 'muted'}, `Written by tierscope ${DATA.version}. ${charts}`));
  document.body.append(TOOLTIP);
}

// What is in view first; a chart that fails says so in its place and in the console.
async function drawAll() {
  const queue = [...CHARTS];
  while (queue.length > 0) {
    const near = queue.findIndex((c) => {
      const r = c.chart.getBoundingClientRect();
      return r.bottom > 0 && r.top < innerHeight;
    });
    const [entry] = queue.splice(Math.max(0, near), 1);
    try {
      await drawChart(entry);
    } catch (error) {
      console.error(`${entry.id}: ${error.message}`);
      entry.chart.append(note('This chart could not be drawn; its data table and CSV are whole.'));
    }
    await new Promise((resolve) => setTimeout(resolve));
  }
}

buildPage();
MARKS.interactive = performance.now();
window.tierscope = {
  charts: CHARTS,
  marksOf,
  marks: MARKS,
  drawn: drawAll().then(() => {
    MARKS.drawn = performance.now();
  })
};
