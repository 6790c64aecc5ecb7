'use strict';
// The report's data, and the elements that all sections are made of. No text of the data is ever
// read as HTML: everything goes through text nodes and attributes.

const DATA = JSON.parse(document.getElementById('data').textContent);
const DEFINITIONS = new Map(DATA.definitions.map((d) => [d.name, d]));

// el('td', {class: 'number'}, 'text', child, ...): null children are left out.
function el(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) {
      node.addEventListener(name.slice(2), value);
    } else {
      node.setAttribute(name, value === true ? '' : value);
    }
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return node;
}

// Names from files on one line, without what redraws the text around them.
function oneLine(text) {
  return String(text)
      .replace(/[\u0000-\u001f\u007f-\u009f]/g, ' ')
      .replace(/[\u202a-\u202e\u2066-\u2069]/g, '\ufffd');
}

function shortened(text, length) {
  const line = [...oneLine(text)];
  return line.length <= length ? line.join('') : line.slice(0, length - 1).join('') + '\u2026';
}

// ---- numbers ----------------------------------------------------------------------------------

const GIB = 2 ** 30;

function isNumber(value) {
  return typeof value === 'number' && Number.isFinite(value);
}

// Four digits that mean something, thousands separated; 12345.6 -> "12,346".
function formatNumber(value) {
  if (!isNumber(value)) return '-';
  const size = Math.abs(value);
  if (size === 0) return '0';
  if (Number.isInteger(value) && size < 1e15) return value.toLocaleString('en-US');
  if (size < 1e-4) return value.toExponential(2);
  const decimals = size >= 1000 ? 0 : size >= 100 ? 1 : size >= 10 ? 2 : size >= 1 ? 3 : 4;
  return value.toLocaleString('en-US', {minimumFractionDigits: 0, maximumFractionDigits: decimals});
}

// A share in percent that never rounds to 0 or 100 what is not.
function formatPercent(share) {
  if (!isNumber(share)) return '-';
  const percent = share * 100;
  if (percent === 0) return '0 %';
  if (Math.abs(percent) < 0.01) return (percent < 0 ? '>-' : '<') + '0.01 %';
  if (percent > 99.99 && percent < 100) return '>99.99 %';
  const fine = Math.abs(percent) < 1 || (percent > 99 && percent < 100);
  return percent.toFixed(fine ? 2 : 1).replace(/\.0$/, '') + ' %';
}

function formatQuantity(value, unit) {
  if (!isNumber(value)) return '-';
  if (unit === 'fraction') return formatPercent(value);
  if (unit === 'ms' && Math.abs(value) >= 10000) return formatNumber(value / 1000) + ' s';
  return formatNumber(value) + (unit ? ' ' + unit : '');
}

// The value with nothing taken away, and what it means: what a number says on hover.
function hoverText(value, unit, definition) {
  const exact = isNumber(value) ? String(value) + (unit ? ' ' + unit : '') : '';
  return [exact, definition].filter(Boolean).join('. ');
}

// ---- CSV --------------------------------------------------------------------------------------

function csvField(value) {
  if (value === null || value === undefined) return '';
  const text = typeof value === 'number' ? String(value) : oneLine(value);
  return /[",]/.test(text) ? '"' + text.replace(/"/g, '""') + '"' : text;
}

function csvText(columns, rows) {
  const heading = columns.map((c) => csvField(c.unit ? `${c.name} (${c.unit})` : c.name));
  return [heading.join(','), ...rows.map((row) => row.map(csvField).join(','))].join('\r\n') + '\r\n';
}

function download(name, text) {
  const url = URL.createObjectURL(new Blob([text], {type: 'text/csv;charset=utf-8'}));
  const link = el('a', {href: url, download: name});
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

// ---- tables -----------------------------------------------------------------------------------

const ROWS_SHOWN = 400;

// A column: {name, unit, definition, metric}. A cell: a number, a text or null.
function cellOf(value, column, first, marks) {
  const number = typeof value === 'number';
  const attributes = {
    class: number || (!first && !column.text && (value === null || value === undefined)) ? 'number' : null,
    title: number ? hoverText(value, column.unit, column.definition) : column.definition,
    'data-value': number ? String(value) : null,
    'data-metric': marks && marks.metric,
    'data-run': marks && marks.run !== undefined ? String(marks.run) : null,
  };
  const text = number ? (column.unit === 'fraction' ? formatPercent(value) : formatNumber(value)) :
      value === null || value === undefined ? '-' :
                                              oneLine(value);
  return first ? el('th', {scope: 'row', ...attributes}, text) : el('td', attributes, text);
}

function headCell(column) {
  const unit = column.unit && column.unit !== 'fraction' ? ` (${column.unit})` : '';
  return el(
      'th', {scope: 'col', class: column.text ? null : 'number', title: column.definition || null},
      oneLine(column.name) + unit);
}

// A table that may be wider than the page scrolls by itself, with the keyboard too. Rows past
// ROWS_SHOWN are in the CSV only, and the table says so.
function dataTable({caption, columns, rows, marks}) {
  const body =
      rows.slice(0, ROWS_SHOWN)
          .map(
              (row, r) => el(
                  'tr', {}, row.map((value, c) => cellOf(value, columns[c], c === 0, marks && marks(r, c)))));
  const more = rows.length > ROWS_SHOWN ?
      el('p', {class: 'muted'},
         `The first ${ROWS_SHOWN} of ${formatNumber(rows.length)} rows; the CSV has all.`) :
      null;
  return el(
      'div', {},
      el('div', {class: 'scroll', role: 'region', tabindex: '0', 'aria-label': caption},
         el('table', {}, el('caption', {}, caption), el('thead', {}, el('tr', {}, columns.map(headCell))),
            el('tbody', {}, body))),
      more);
}

function csvButton(name, columns, rows) {
  return el(
      'button', {
        type: 'button',
        class: 'csv',
        'data-csv': name,
        onclick: () => download(name + '.csv', csvText(columns, rows()))
      },
      'Download CSV');
}

// ---- sections and figures ---------------------------------------------------------------------

const CHARTS = [];  // in the order of the page; main.js draws them

function slug(text) {
  return text.toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-|-$/g, '');
}

const USED_IDS = new Set(['top', 'contents', 'content', 'end', 'data']);

function uniqueId(text) {
  const base = slug(text) || 'part';
  let id = base;
  for (let n = 2; USED_IDS.has(id); ++n) id = `${base}-${n}`;
  USED_IDS.add(id);
  return id;
}

function section(title, ...children) {
  const id = uniqueId(title);
  return el(
      'section', {id, 'aria-labelledby': id + '-title'}, el('h2', {id: id + '-title'}, title), children);
}

function note(text) {
  return el('p', {class: 'note'}, text);
}

// A chart with its words, its table and its CSV. `spec` is a Vega-Lite view or a function that
// gives one; `table` {columns, rows} or a function. Both are asked again by figure.update().
function figure({title, says, spec, table, controls}) {
  const id = uniqueId(title);
  const chart = el('div', {class: 'chart', role: 'img', 'aria-label': `${title}. ${says}`});
  const get = (value) => (typeof value === 'function' ? value() : value);
  const details = el('details', {class: 'data'}, el('summary', {}, 'Data table'));
  let filled = false;
  const fill = () => {
    details.querySelectorAll(':scope > div').forEach((old) => old.remove());
    const {columns, rows} = get(table);
    details.append(dataTable({caption: title, columns, rows}));
    filled = true;
  };
  details.addEventListener('toggle', () => details.open && !filled && fill());
  const columnsNow = () => get(table).columns;
  const button =
      el('button', {
        type: 'button',
        class: 'csv',
        'data-csv': id,
        onclick: () => {
          download(id + '.csv', csvText(columnsNow(), get(table).rows));
        }
      },
         'Download CSV');
  const node =
      el('figure', {id}, el('figcaption', {}, el('h3', {}, title), el('p', {class: 'muted'}, says)),
         controls || null, chart, el('div', {class: 'under'}, details, button));
  const entry =
      {id, chart, spec: () => get(spec), view: null, csv: () => csvText(columnsNow(), get(table).rows)};
  CHARTS.push(entry);
  node.update = () => {
    if (filled) fill();
    return entry.view ? drawChart(entry) : null;
  };
  return node;
}
