// Opens reports in Debian's chromium and holds them to what reports/README.md promises.
//   node page_test.js BROWSER FOLDER_OF_PAGES
// browser_test.sh beside this file makes the pages. Prints what it measures; asserts no time but a bound
// that only a hang breaks.
'use strict';
const assert = require('assert');
const fs = require('fs');
const path = require('path');
const {chromium} = require('playwright-core');

const [BROWSER, FOLDER] = process.argv.slice(2);
const INTERACTIVE_MS_MAX = 20000;  // the aim is 2 s on an idle machine; this only catches a hang
const FILE_BYTES_MAX = 15 * 1024 * 1024;

async function open(browser, file, options) {
  const context =
      await browser.newContext({viewport: {width: 1180, height: 900}, acceptDownloads: true, ...options});
  const page = await context.newPage();
  const problems = [];
  page.on('console', (m) => ['error', 'warning'].includes(m.type()) && problems.push(`console: ${m.text()}`));
  page.on('pageerror', (e) => problems.push(`error: ${e.message}`));
  page.on('dialog', (d) => {
    problems.push(`dialog: ${d.message()}`);
    d.dismiss();
  });
  page.on('request', (r) => {
    if (r.url() !== 'file://' + file && !r.url().startsWith('blob:')) problems.push(`request: ${r.url()}`);
  });
  await page.goto('file://' + file);
  await page.evaluate(() => window.tierscope && window.tierscope.drawn);
  return {page, problems, close: () => context.close()};
}

// Every chart has shapes; no text of a chart is "undefined" or "NaN".
async function checkCharts(page, name) {
  const charts = await page.evaluate(
      () => window.tierscope.charts.map(
          (c) => (
              {id: c.id, marks: c.view ? window.tierscope.marksOf(c.view) : -1, text: c.chart.textContent})));
  assert(charts.length > 0, `${name} has charts`);
  for (const chart of charts) {
    assert(chart.marks > 0, `${name}: ${chart.id} is empty (${chart.marks} marks)`);
    assert(!/undefined|NaN/.test(chart.text), `${name}: ${chart.id} says ${chart.text}`);
  }
  return charts.length;
}

function parseCsv(text) {
  const rows = [[]];
  let field = '', quoted = false;
  for (let i = 0; i < text.length; ++i) {
    const c = text[i];
    if (quoted) {
      if (c === '"' && text[i + 1] === '"') {
        field += '"';
        ++i;
      } else if (c === '"')
        quoted = false;
      else
        field += c;
    } else if (c === '"') {
      quoted = true;
    } else if (c === ',' || c === '\n') {
      rows[rows.length - 1].push(field.replace(/\r$/, ''));
      field = '';
      if (c === '\n') rows.push([]);
    } else {
      field += c;
    }
  }
  assert(!quoted && field === '' && rows.pop().length === 0, 'CSV ends with a line break');
  return rows;
}

function checkCsv(page_name, file, text) {
  const rows = parseCsv(text);
  assert(file.endsWith('.csv'));
  assert(rows.length >= 2, `${page_name}: ${file} has rows`);
  for (const row of rows) assert.strictEqual(row.length, rows[0].length, `${page_name}: ${file}`);
}

// Every button gives a CSV of rows as long as its heading: the first few as files (chromium stops a
// page after ten), all of them as the text that a file would get.
async function checkDownloads(page, name) {
  for (const button of (await page.$$('button.csv')).slice(0, 4)) {
    const [file] = await Promise.all([page.waitForEvent('download'), button.click()]);
    checkCsv(name, file.suggestedFilename(), fs.readFileSync(await file.path(), 'utf8'));
  }
  const files = await page.evaluate(() => {
    const got = [];
    window.download = (file, text) => got.push([file, text]);
    document.querySelectorAll('button.csv').forEach((button) => button.click());
    return got;
  });
  assert.strictEqual(files.length, (await page.$$('button.csv')).length);
  for (const [file, text] of files) checkCsv(name, file, text);
  return files.length;
}

// Every data table of a chart is opened and has the cells of its CSV, number by number.
async function checkTables(page, name) {
  const wrong = await page.evaluate(() => {
    const bad = [];
    for (const chart of window.tierscope.charts) {
      const details = document.getElementById(chart.id).querySelector('details');
      details.open = true;
      details.dispatchEvent(new Event('toggle'));
      const lines = chart.csv().trimEnd().split('\r\n').slice(1);
      const rows = [...details.querySelectorAll('tbody tr')];
      if (rows.length !== Math.min(400, lines.length))
        bad.push(`${chart.id}: ${rows.length} rows of ${lines.length}`);
      rows.forEach((row, r) => {
        const numbers = [...row.children].map((c) => c.dataset.value).filter((v) => v !== undefined);
        const missing = numbers.filter((v) => !(',' + lines[r] + ',').includes(',' + v + ','));
        if (missing.length) bad.push(`${chart.id} row ${r}: ${missing}`);
        for (const cell of row.children)
          if (cell.dataset.value !== undefined && !cell.title.startsWith(cell.dataset.value))
            bad.push(`${chart.id}: no hover`);
      });
      if (!details.querySelector('caption') || !details.querySelector('th[scope=col]'))
        bad.push(`${chart.id}: no caption or heading`);
    }
    return bad.slice(0, 10);
  });
  assert.deepStrictEqual(wrong, [], name);
}

// What the page says of each metric is what result.json says, to the last digit.
async function checkAgainstResult(page, name, results) {
  const cells = await page.$$eval('[data-metric]', (list) => list.map((c) => ({
                                                                        metric: c.dataset.metric,
                                                                        run: Number(c.dataset.run),
                                                                        value: c.dataset.value,
                                                                        text: c.textContent
                                                                      })));
  const seen = results.map(() => new Set());
  for (const cell of cells) {
    const metric = results[cell.run].metrics[cell.metric];
    assert(metric, `${name}: ${cell.metric} is in result.json`);
    seen[cell.run].add(cell.metric);
    if (typeof metric.value === 'number') {
      assert.strictEqual(Number(cell.value), metric.value, `${name}: ${cell.metric}`);
      assert.strictEqual(cell.value, String(metric.value), `${name}: ${cell.metric}`);
    } else {
      assert.strictEqual(cell.value, undefined, `${name}: ${cell.metric} is absent`);
    }
  }
  results.forEach(
      (result, i) => assert.deepStrictEqual([...seen[i]].sort(), Object.keys(result.metrics).sort(), name));
  return cells.length;
}

// Totals of the series end at the metrics of the result.
function checkSeries(folder) {
  const result = JSON.parse(fs.readFileSync(path.join(folder, 'result.json')));
  const series = JSON.parse(fs.readFileSync(path.join(folder, 'series.json')));
  const value = (name) => result.metrics[name].value;
  const last = (column) => column[column.length - 1] - column[0];
  assert.strictEqual(last(series.totals.steps), value('steps'));
  assert.strictEqual(last(series.totals.output_tokens), value('output_tokens'));
  assert.strictEqual(last(series.totals.requests_completed), value('requests_completed'));
  assert.strictEqual(last(series.totals.decode_ns) / 1e9, value('decode_s'));
  for (const [cause, column] of Object.entries(series.stall_ns)) {
    assert.strictEqual(last(column) / 1e6, value('stall_ms_by_cause.' + cause), cause);
  }
  for (const pool of result.footprint) {
    const over = series.pools.find((p) => p.tier === pool.tier && p.pool === pool.pool);
    assert(over, pool.pool);
    assert.strictEqual(Math.max(...over.allocated_bytes), pool.allocated_bytes, pool.pool);
    assert(Math.max(...over.in_use_bytes) <= pool.in_use_bytes, pool.pool);
  }
  assert.strictEqual(
      series.histograms.find((h) => h.name === 'step').counts.reduce((a, b) => a + b), value('steps'));
  return result;
}

// Nothing sticks out, and words stand out from what is behind them (WCAG contrast of 4.5).
async function checkReadable(page, name) {
  const found = await page.evaluate(() => {
    const rgb = (text) => (text.match(/[\d.]+/g) || []).map(Number);
    const light = (c) => {
      const f = (v) => {
        v /= 255;
        return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
      };
      return 0.2126 * f(c[0]) + 0.7152 * f(c[1]) + 0.0722 * f(c[2]);
    };
    const behind = (node) => {
      for (; node; node = node.parentElement) {
        const c = rgb(getComputedStyle(node).backgroundColor);
        if (c.length === 3 || c[3] > 0) return c;
      }
      return [255, 255, 255];
    };
    const bad = [];
    for (const node of document.querySelectorAll(
             'h1,h2,h3,p,th,td,li,dt,dd,button,label,summary,.chart text')) {
      if (!node.textContent.trim() || node.getClientRects().length === 0) continue;
      const svg = node.namespaceURI.endsWith('svg');
      if (svg && node.closest('[role=graphics-symbol]')) continue;
      const style = getComputedStyle(node), front = light(rgb(svg ? style.fill : style.color)),
            back = light(behind(svg ? node.closest('.chart') : node));
      const contrast = (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05);
      if (contrast < 4.5 && !(svg && node.classList.length))
        bad.push(`${node.tagName} "${node.textContent.slice(0, 30)}" ${contrast.toFixed(1)}`);
    }
    for (const node of document.querySelectorAll('.chart text')) {
      const own = node.getBoundingClientRect(), chart = node.closest('.chart').getBoundingClientRect();
      if (own.width &&
          (own.right > chart.right + 2 || own.left < chart.left - 2 || own.bottom > chart.bottom + 2)) {
        bad.push(`${node.closest('figure').id} cuts "${node.textContent}"`);
      }
    }
    return {
      bad: [...new Set(bad)].slice(0, 5),
      width: document.documentElement.scrollWidth,
      room: innerWidth
    };
  });
  assert(found.width <= found.room, `${name}: ${found.width} px wide in ${found.room}`);
  assert.deepStrictEqual(found.bad, [], name);
}

async function checkKeyboard(page, name) {
  await page.keyboard.press('Tab');
  assert.strictEqual(await page.evaluate(() => document.activeElement.className), 'skip', name);
  const nameless = await page.$$eval(
      'button,select,input,[role=region],[role=img]',
      (list) => list.filter(
                        (e) => !(
                            e.getAttribute('aria-label') || e.textContent.trim() && e.tagName === 'BUTTON' ||
                            (e.labels && e.labels.length)))
                    .map((e) => e.outerHTML.slice(0, 80)));
  assert.deepStrictEqual(nameless, [], name);
  const headings = await page.$$eval('h1,h2,h3', (list) => list.map((h) => Number(h.tagName[1])));
  assert.strictEqual(headings.filter((h) => h === 1).length, 1);
  headings.forEach(
      (h, i) => assert(i === 0 || h - headings[i - 1] <= 1, `${name}: a level of headings is left out`));
}

async function testRun(browser) {
  const folder = path.join(FOLDER, 'run');
  const result = checkSeries(folder);
  const {page, problems, close} = await open(browser, path.join(folder, 'interactive.html'), {});
  await checkKeyboard(page, 'run');
  const charts = await checkCharts(page, 'run');
  const cells = await checkAgainstResult(page, 'run', [result]);
  const csv = await checkDownloads(page, 'run');
  await checkTables(page, 'run');
  await checkReadable(page, 'run, light');
  await page.click('#theme');
  await checkReadable(page, 'run, dark');
  const before = await page.$eval('#timeline-of-one-second svg', (s) => s.innerHTML);
  await page.$eval('#timeline input[type=range]', (s) => {
    s.value = s.max;
    s.dispatchEvent(new Event('input'));
  });
  await page.waitForTimeout(300);
  assert.notStrictEqual(
      await page.$eval('#timeline-of-one-second svg', (s) => s.innerHTML), before,
      'the slider moves the timeline');
  const body = await page.textContent('body');
  for (const text
           of [result.scenario, result.scenario_digest, result.event_digest, result.version,
               '18446744073709551615'])
    assert(body.includes(text), `the page names ${text}`);
  assert.deepStrictEqual(problems, []);
  await close();
  console.log(`run: ${charts} charts, ${cells} numbers of result.json, ${csv} CSV files`);
}

async function testNarrowAndComparison(browser) {
  const {page, problems, close} = await open(
      browser, path.join(FOLDER, 'both.html'), {viewport: {width: 400, height: 800}, colorScheme: 'dark'});
  const results =
      ['run', 'full'].map((f) => JSON.parse(fs.readFileSync(path.join(FOLDER, f, 'result.json'))));
  const charts = await checkCharts(page, 'both');
  await checkAgainstResult(page, 'both', results);
  await checkReadable(page, 'both, 400 px, dark');
  await page.emulateMedia({media: 'print'});
  assert.strictEqual(await page.$eval('#contents', (e) => getComputedStyle(e).display), 'none');
  assert.strictEqual(
      await page.evaluate(() => getComputedStyle(document.body).backgroundColor), 'rgb(255, 255, 255)',
      'prints on white');
  assert.deepStrictEqual(problems, []);
  await close();
  console.log(`two runs at 400 px: ${charts} charts`);
}

async function testSweep(browser) {
  const file = path.join(FOLDER, 'sweep.html');
  assert(fs.statSync(file).size <= FILE_BYTES_MAX, 'the file of 10,000 points');
  const {page, problems, close} = await open(browser, file, {});
  const charts = await checkCharts(page, 'sweep');
  const marks = await page.evaluate(() => window.tierscope.marks);
  assert(marks.interactive < INTERACTIVE_MS_MAX);
  console.log(`sweep: ${fs.statSync(file).size} bytes, interactive after ${
      marks.interactive.toFixed(0)} ms, ${charts} charts drawn after ${marks.drawn.toFixed(0)} ms`);
  // Each slider changes the heat map, and its cells are the means of the points it leaves.
  const heat = async () =>
      page.evaluate(() => window.tierscope.charts.find((c) => c.id.endsWith('heat-map')).csv());
  const picture = () => page.$eval('figure[id$=heat-map] svg', (s) => s.innerHTML);
  const sliders = await page.$$('.sliders input[type=range]');
  assert(sliders.length >= 1, 'sliders for the other axes');
  for (const slider of sliders) {
    const old = [await heat(), await picture()];
    await slider.focus();
    await page.keyboard.press('ArrowRight');
    await page.waitForTimeout(300);
    assert.notStrictEqual(await heat(), old[0], 'a slider changes the cells');
    assert.notStrictEqual(await picture(), old[1], 'a slider changes the picture');
  }
  const {sweep, chosen} = await page.evaluate(
      () => ({
        sweep: DATA.inputs[0].document,
        chosen: [...document.querySelectorAll('.sliders input')].map((s) => [s.dataset.axis, Number(s.value)])
      }));
  const selects = await page.$$eval(
      'figure[id$=heat-map] select', (list) => list.map((s) => s.options[s.selectedIndex].textContent));
  const column = sweep.metrics.find((m) => m.name === selects[0]).values;
  const axis = (name) => sweep.axes.find((a) => a.name === name).values;
  const cells = new Map();
  column.forEach((v, p) => {
    const kept = chosen.every(
        ([name, level]) =>
            level < 0 || axis(name)[p] === [...new Set(axis(name))].sort((a, b) => a - b)[level]);
    if (!kept || v === null) return;
    const key = axis(selects[1])[p] + ',' + axis(selects[2])[p];
    const old = cells.get(key) || [0, 0];
    cells.set(key, [old[0] + v, old[1] + 1]);
  });
  const rows = parseCsv(await heat()).slice(1);
  assert.strictEqual(rows.length, cells.size);
  for (const [x, y, mean, n] of rows) {
    const [total, count] = cells.get(x + ',' + y);
    assert.strictEqual(Number(n), count);
    assert(Math.abs(Number(mean) - total / count) <= 1e-12 * Math.abs(total / count), 'means of the cells');
  }
  await checkDownloads(page, 'sweep');
  assert.deepStrictEqual(problems, []);
  await close();
}

async function testDocuments(browser) {
  const {page, problems, close} = await open(browser, path.join(FOLDER, 'documents.html'), {});
  const charts = await checkCharts(page, 'documents');
  await checkTables(page, 'documents');
  await checkReadable(page, 'documents');
  assert.deepStrictEqual(problems, []);
  await close();
  console.log(`capacity, fidelity: ${charts} charts`);
}

const readJson = (...names) => JSON.parse(fs.readFileSync(path.join(FOLDER, ...names)));

// The CSV of a chart, without its heading, numbers as numbers.
async function rowsOf(page, id) {
  const text = await page.evaluate((i) => window.tierscope.charts.find((c) => c.id === i).csv(), id);
  return parseCsv(text).slice(1).map((row) => row.map((f) => f === '' || isNaN(f) ? f || null : Number(f)));
}

const marksOf = (page, id) =>
    page.evaluate((i) => window.tierscope.marksOf(window.tierscope.charts.find((c) => c.id === i).view), id);

// A reconciliation as the verb wrote it: each chart's table is the file, number by number.
async function testReconciliation(browser) {
  const {page, problems, close} = await open(browser, path.join(FOLDER, 'reconcile', 'interactive.html'), {});
  const document = readJson('reconcile', 'reconcile.json');
  assert(!document.passed && document.terms.length > 8, 'a reconciliation of many phases');
  const charts = await checkCharts(page, 'reconcile');
  await checkTables(page, 'reconcile');
  await checkDownloads(page, 'reconcile');
  const points = document.terms.flatMap(
      (t) => t.points.number.map(
          (n, i) => [t.term, n, t.points.measured_ns[i] / 1e6, t.points.simulated_ns[i] / 1e6]));
  const scatter = await rowsOf(page, 'simulated-against-measured');
  assert.deepStrictEqual(scatter.map((row) => row.slice(0, 4)), points);
  const drawn = points.filter((p) => p[2] > 0 && p[3] > 0).length;
  assert(drawn > 50 && await marksOf(page, 'simulated-against-measured') > drawn, 'points and their bars');
  const errors = await rowsOf(page, 'error-by-phase');
  assert.deepStrictEqual(
      errors,
      document.terms.map(
          (t) =>
              [t.term, t.of, t.stats.n, t.stats.measured_median_ns / 1e6, t.stats.simulated_median_ns / 1e6,
               t.step_share, t.error, t.noise_error, t.bound, t.verdict, t.stats.bias, t.stats.mape,
               t.stats.error_p90, t.stats.error_p99, t.stats.nrmse, t.stats.pearson]));
  assert(document.terms.filter((t) => t.noise_error !== null).length > 8, 'a noise floor');
  const text = await page.textContent('body');
  for (const failure of document.failures) assert(text.includes(failure), failure);
  for (const [name, value] of Object.entries(document.provenance))
    assert(text.includes(name) && text.includes(value), name);
  const table = (caption) => page.$$eval(
      'table',
      (list, c) => [...list.find((t) => t.caption.textContent === c).tBodies[0].rows].map(
          (r) => [...r.cells].map((x) => x.dataset.value ? Number(x.dataset.value) : x.textContent)),
      caption);
  assert.deepStrictEqual(
      (await table('Counts')).map((row) => row.slice(0, 3)),
      document.counts.map((c) => [c.count, c.simulated, c.measured]));
  assert.deepStrictEqual(
      await table('Worst cases'),
      document.worst.map((w) => [w.term, w.number, w.measured_ns / 1e6, w.simulated_ns / 1e6, w.error]));
  await checkReadable(page, 'reconcile, light');
  await page.click('#theme');
  await checkReadable(page, 'reconcile, dark');
  assert.deepStrictEqual(problems, []);
  await close();
  console.log(`a reconciliation: ${charts} charts, ${points.length} points`);
}

// A row a scenario, of what is committed of a real device and of a grid.
async function testSuite(browser) {
  const {page, problems, close} = await open(
      browser, path.join(FOLDER, 'suite.html'), {viewport: {width: 400, height: 800}, colorScheme: 'dark'});
  const charts = await checkCharts(page, 'suite');
  await checkTables(page, 'suite');
  await checkReadable(page, 'suite, 400 px, dark');
  for (const [at, document] of [readJson('suite.json'), readJson('grid', 'summary.json')].entries()) {
    const id = (name) => name + (at ? '-2' : '');
    const term = (s, name) => s.terms.find((t) => t.term === name);
    const rows = await rowsOf(page, id('error-of-a-step-by-scenario'));
    assert.deepStrictEqual(
        rows.map((r) => [r[0], r[1], r[3], r[4], r[5], r[6], r[8], r[9], r[11]]),
        document.scenarios.map((s) => {
          const step = term(s, 'step'), rest = term(s, 'step - ballast');
          return [
            s.scenario, s.passed ? 'within' : 'BROKEN', step.stats.n, step.stats.measured_median_ns / 1e6,
            step.stats.simulated_median_ns / 1e6, step.error, step.bound, rest.error, rest.bound
          ];
        }));
    const scatter = await rowsOf(page, id('simulated-against-measured-by-scenario'));
    assert.strictEqual(scatter.length, 2 * document.scenarios.length);
    assert(await marksOf(page, id('simulated-against-measured-by-scenario')) > scatter.length);
  }
  const ranks = readJson('grid', 'summary.json').rank_agreement;
  assert.deepStrictEqual(
      (await rowsOf(page, 'configurations')).map((r) => r.slice(1, 4)),
      ranks.configurations.map((c) => [c.configuration, c.measured / 1e6, c.simulated / 1e6]));
  assert((await page.textContent('body')).includes(`Kendall tau ${ranks.kendall_tau}`));
  assert.deepStrictEqual(problems, []);
  await close();
  console.log(`a suite and a grid: ${charts} charts`);
}

// The pages without a script: of a run, and of the verb compare.
async function testStaticPages(browser) {
  for (const file of ['run/report.html', 'compare.html']) {
    for (const colorScheme of ['light', 'dark']) {
      const {page, problems, close} =
          await open(browser, path.join(FOLDER, file), {viewport: {width: 400, height: 800}, colorScheme});
      await checkReadable(page, `${file}, 400 px, ${colorScheme}`);
      assert.strictEqual(await page.$$eval('script', (l) => l.length), 0);
      assert.deepStrictEqual(problems, []);
      await close();
    }
  }
  console.log('pages without a script: readable');
}

// Names that are markup do nothing and are shown as they are.
async function testHostile(browser) {
  const {page, problems, close} = await open(browser, path.join(FOLDER, 'hostile.html'), {});
  await checkCharts(page, 'hostile');
  assert.strictEqual(await page.$$eval('img,iframe,object,embed,link,script[src],base', (l) => l.length), 0);
  assert.strictEqual(await page.$$eval('script', (l) => l.length), 3, 'no script but the page\'s own');
  assert.strictEqual(await page.evaluate(() => window.owned), undefined);
  assert((await page.textContent('h1')).includes('</script><img onerror=window.owned=1 src=x>'));
  assert.deepStrictEqual(problems, []);
  await close();
  console.log('hostile names do nothing');
}

(async () => {
  const browser = await chromium.launch({executablePath: BROWSER, args: ['--no-sandbox', '--disable-gpu']});
  for (const test
           of [testRun, testNarrowAndComparison, testSweep, testDocuments, testReconciliation, testSuite,
               testStaticPages, testHostile])
    await test(browser);
  await browser.close();
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
