/** Of the page about contracts. */
export const STYLE = `
:root { color-scheme: light dark; --ink: #1f2328; --soft: #59636e; --line: #d9dee3; --page: #fff; --panel: #f6f8fa; --link: #0b5cad; --call: #0b5cad; --stream: #6f42c1; --cast: #8a5a00; --event: #1a7f37; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6edf3; --soft: #9aa4af; --line: #30363d; --page: #0d1117; --panel: #161b22; --link: #6cb6ff; --call: #6cb6ff; --stream: #c297ff; --cast: #e3b341; --event: #57d07a; }
}
* { box-sizing: border-box; }
body { margin: 0; display: grid; grid-template-columns: minmax(12rem, 16rem) minmax(0, 1fr); color: var(--ink); background: var(--page); font: 16px/1.5 system-ui, sans-serif; }
nav { padding: 1.5rem 1.25rem; background: var(--panel); border-right: 1px solid var(--line); position: sticky; top: 0; height: 100vh; overflow: auto; font-size: .9rem; }
nav section + section { margin-top: 2rem; }
nav h2 { margin: 1rem 0 .25rem; font-size: .75rem; color: var(--soft); text-transform: uppercase; letter-spacing: .05em; }
nav ul { margin: 0; padding: 0; list-style: none; }
nav li { overflow-wrap: anywhere; padding: .1rem 0; }
nav .contract { font-weight: 600; font-size: 1rem; }
a { color: var(--link); text-decoration: none; }
a:hover { text-decoration: underline; }
main { padding: 1.5rem 2.5rem 4rem; max-width: 60rem; }
h1 { margin: .5rem 0 1rem; line-height: 1.2; }
article { margin-top: 2rem; padding-top: 1.5rem; border-top: 1px solid var(--line); }
article h2 { margin: 0 0 .5rem; font-size: 1.25rem; overflow-wrap: anywhere; }
h3 { margin: 1.25rem 0 .4rem; font-size: .9rem; color: var(--soft); font-weight: 600; }
code { font: .9em ui-monospace, monospace; overflow-wrap: anywhere; }
small { color: var(--soft); font-weight: normal; }
.facts { display: flex; flex-wrap: wrap; gap: .5rem 2rem; margin: 0; }
.facts dt { font-size: .8rem; color: var(--soft); }
.facts dd { margin: 0; }
.badge { display: inline-block; margin-left: .4rem; padding: .05rem .5rem; border: 1px solid currentColor; border-radius: 1rem; font-size: .75rem; font-weight: 500; vertical-align: middle; }
.call { color: var(--call); } .stream { color: var(--stream); } .cast { color: var(--cast); } .event { color: var(--event); }
.scroll { overflow-x: auto; }
main > section + section { margin-top: 5rem; }
table { width: 100%; min-width: 26rem; table-layout: fixed; border-collapse: collapse; font-size: .95rem; }
th { text-align: left; font-size: .8rem; font-weight: 500; color: var(--soft); }
th, td { padding: .35rem .75rem; border-bottom: 1px solid var(--line); vertical-align: top; }
td:first-child { overflow-wrap: anywhere; }
.type { margin: 0; padding: .35rem .75rem; }
.limit { color: var(--soft); white-space: nowrap; margin-right: .6em; }
@media (max-width: 44rem) {
  body { display: block; }
  nav { position: static; height: auto; border-right: 0; border-bottom: 1px solid var(--line); }
  main { padding: 1rem 1.25rem 3rem; }
}
@media print { nav { display: none; } body { display: block; } article { break-inside: avoid; } }
`;
