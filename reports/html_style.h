// The style sheet of report.html. Colours of pools: Okabe and Ito (2008), told apart with any
// colour vision; their yellow, too loud for a large area, gave way to the olive of Tol's muted
// scheme.
#ifndef TIERSCOPE_REPORTS_HTML_STYLE_H_
#define TIERSCOPE_REPORTS_HTML_STYLE_H_

namespace tierscope {

inline constexpr int kPoolColorCount =
    8;  // classes c0 to c7 below; the last serves all further pools

inline constexpr char kHtmlStyle[] = R"css(
:root {
  --page: #ffffff; --panel: #f5f6f7; --ink: #16191d; --muted: #59616b; --rule: #d9dde2;
  --track: #e8ebee; --accent: #0067a3; --bad: #a82a00; --bad-panel: #fdf0ea;
  --c0: #0072b2; --c1: #56b4e9; --c2: #009e73; --c3: #e69f00;
  --c4: #cc79a7; --c5: #d55e00; --c6: #999933; --c7: #8a9199;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14171a; --panel: #1d2125; --ink: #e6e9ec; --muted: #a2abb5; --rule: #343a41;
    --track: #2a3036; --accent: #6bb8ec; --bad: #ff9d75; --bad-panel: #33211a;
  }
}
* { box-sizing: border-box; }
html { color-scheme: light dark; -webkit-text-size-adjust: 100%; }
body {
  margin: 0 auto; padding: 2.5rem 1.5rem 4rem; max-width: 68rem; background: var(--page);
  color: var(--ink); font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", "Noto Sans", sans-serif;
  overflow-wrap: anywhere;
}
h1, h2, h3 { line-height: 1.2; margin: 0; font-weight: 650; }
h1 { font-size: 2rem; letter-spacing: -0.015em; }
h2 { font-size: 1.25rem; margin: 3rem 0 0.75rem; padding-top: 1rem; border-top: 1px solid var(--rule); }
h3 { font-size: 1rem; margin: 1.75rem 0 0.5rem; }
p { margin: 0.35rem 0; max-width: 46rem; }
header p { max-width: none; }
.muted, caption, .definition, th .unit { color: var(--muted); }
.kicker { font-size: 0.8125rem; color: var(--muted); margin: 0 0 0.25rem; }
.cards {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(11.5rem, 1fr)); gap: 0.75rem;
  margin: 1.75rem 0 0; padding: 0; list-style: none;
}
.cards li { background: var(--panel); border-radius: 0.5rem; padding: 0.875rem 1rem 1rem; }
.cards .label, .cards .sentence { display: block; }
.cards .label { font-size: 0.8125rem; color: var(--muted); }
.cards .figure { display: block; font-size: 1.5rem; line-height: 1.3; font-weight: 650; letter-spacing: -0.01em; }
.cards .sentence { font-size: 0.8125rem; line-height: 1.4; color: var(--muted); }
.violations { background: var(--bad-panel); border-left: 4px solid var(--bad); padding: 0.75rem 1rem; margin: 1.5rem 0 0; }
.violations h2 { border: 0; margin: 0 0 0.25rem; padding: 0; color: var(--bad); font-size: 1rem; }
ul.plain { margin: 0; padding-left: 1.1rem; max-width: 46rem; }
ul.plain li { margin: 0.3rem 0; }
svg.bar { display: block; width: 100%; height: 2.25rem; margin: 0.25rem 0 0.5rem; }
svg.small { display: block; width: 100%; min-width: 5rem; height: 0.875rem; }
svg text { font-size: 12px; fill: #0c0e10; }
svg .on-dark { fill: #ffffff; }
svg .track { fill: var(--track); }
svg .spare { opacity: 0.45; }
svg .limit { stroke: var(--bad); stroke-width: 2; }
svg .value { fill: var(--accent); }
.c0 { fill: var(--c0); } .c1 { fill: var(--c1); } .c2 { fill: var(--c2); } .c3 { fill: var(--c3); }
.c4 { fill: var(--c4); } .c5 { fill: var(--c5); } .c6 { fill: var(--c6); } .c7 { fill: var(--c7); }
svg.swatch { width: 0.75rem; height: 0.75rem; margin-right: 0.5rem; vertical-align: -0.05rem; }
.barname { font-size: 0.8125rem; color: var(--muted); margin: 0.5rem 0 0; }
.scroll { overflow-x: auto; }
main > .scroll:first-child, .violations + .scroll { margin-top: 1.75rem; }
.scroll:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
table { border-collapse: collapse; width: 100%; font-size: 0.875rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-size: 0.8125rem; padding: 0 0 0.5rem; }
th, td { overflow-wrap: break-word; text-align: left; vertical-align: baseline; padding: 0.375rem 0.75rem 0.375rem 0; border-bottom: 1px solid var(--rule); font-weight: 400; }
th:last-child, td:last-child { padding-right: 0; }
thead th { font-size: 0.8125rem; color: var(--muted); white-space: nowrap; }
tfoot th, tfoot td { font-weight: 650; border-bottom: 0; }
.number { text-align: right; white-space: nowrap; }
.chart { width: 40%; }
.many .chart { width: auto; }
.many th { white-space: nowrap; }
.metrics .unit, .metrics .extra { white-space: nowrap; }
.metrics tbody th { font-family: ui-monospace, "SFMono-Regular", "DejaVu Sans Mono", monospace; font-size: 0.8125rem; }
.metrics .definition { min-width: 16rem; font-size: 0.8125rem; }
.metrics .absent { white-space: normal; font-size: 0.8125rem; color: var(--muted); }
.facts th { width: 11rem; color: var(--muted); }
.facts td { overflow-wrap: anywhere; }
code { font-family: ui-monospace, "SFMono-Regular", "DejaVu Sans Mono", monospace; font-size: 0.8125rem; }
@media (max-width: 40rem) {
  body { padding: 1.5rem 1rem 3rem; }
  h1 { font-size: 1.5rem; }
  svg.bar text { display: none; }
  .cards { grid-template-columns: 1fr 1fr; gap: 0.5rem; }
  .cards li { padding: 0.75rem; }
  .cards .figure { font-size: 1.25rem; }
  .cards li:last-child:nth-child(odd) { grid-column: 1 / -1; }
  .chart { width: 28%; }
  .meaning { display: none; }
  .facts th { width: 7rem; }
  .metrics.one thead { position: absolute; clip-path: inset(50%); width: 1px; height: 1px; overflow: hidden; }
  .metrics.one tr { display: grid; grid-template-columns: 1fr auto auto; column-gap: 0.35rem; border-bottom: 1px solid var(--rule); padding: 0.375rem 0; }
  .metrics.one th, .metrics.one td { border: 0; padding: 0; }
  .metrics.one .extra { display: none; }
  .metrics.one .absent { grid-column: 1 / -1; grid-row: 2; text-align: left; }
  .metrics.one .definition { grid-column: 1 / -1; min-width: 0; }
}
@media print {
  :root { --page: #ffffff; --panel: #f5f6f7; --ink: #000000; --muted: #444444; --rule: #bbbbbb; --track: #e8ebee; }
  body { padding: 0; max-width: none; font-size: 10pt; }
  svg, .cards li { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  h2, h3 { break-after: avoid; }
  tr, .cards li, .memory { break-inside: avoid; }
  .scroll { overflow: visible; }
  table { font-size: 8pt; }
  .metrics .definition { min-width: 0; }
  .metrics tbody th { overflow-wrap: normal; font-size: 6.5pt; }
}
)css";

}  // namespace tierscope

#endif  // TIERSCOPE_REPORTS_HTML_STYLE_H_
