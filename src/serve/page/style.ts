// pure
/** The only style of the page. Text has a contrast of at least 4.5 to 1 on its background, in both schemes. */
export const style = `
:root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--dim:#57606a;--line:#d0d7de;--box:#f6f8fa;--good:#116329;--risk:#7d4e00;--bad:#a40e26;--unknown:#5a32a3;--bar:#57606a}
@media (prefers-color-scheme:dark){:root{--bg:#0d1117;--fg:#e6edf3;--dim:#9da7b3;--line:#30363d;--box:#161b22;--good:#56d364;--risk:#e3b341;--bad:#ff7b72;--unknown:#d2a8ff;--bar:#9da7b3}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:60rem;padding:1rem;background:var(--bg);color:var(--fg);font:16px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
header{border-left:.5rem solid currentColor;padding-left:.75rem}
h1{font-size:2rem;line-height:1.2;margin:0}
h2{font-size:1.1rem;margin:1.75rem 0 .5rem;border-bottom:1px solid var(--line)}
h3{font-size:1rem;margin:.75rem 0 .25rem}
p,ul,dl{margin:.25rem 0}
ul{padding-left:1.25rem}
header p{color:var(--fg)}
.safe{color:var(--good)}.at-risk{color:var(--risk)}.not-safe{color:var(--bad)}.unknown{color:var(--unknown)}
dt{font-weight:600;margin-top:.75rem}
dd{margin:0}
.dim,time{color:var(--dim)}
code,pre{font:.9em/1.4 ui-monospace,monospace;background:var(--box);border-radius:4px}
code{padding:0 .25em}
pre{padding:.5rem;margin:.25rem 0;white-space:pre-wrap}
.table{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.9rem}
th,td{text-align:left;vertical-align:top;padding:.25rem .75rem .25rem 0;border-bottom:1px solid var(--line)}
svg{display:block;width:100%;max-width:30rem;height:2.25rem}
.made{fill:var(--good)}.late{fill:var(--risk)}.failed{fill:var(--bad)}.missed{fill:none;stroke:var(--unknown)}.bar{fill:var(--bar)}
@media (max-width:40rem){thead{display:none}tr,td{display:block;padding-right:0}td{border:0;padding:0}tr{padding:.5rem 0;border-bottom:1px solid var(--line)}td[data-is]::before{content:attr(data-is) ": ";color:var(--dim)}}
`
