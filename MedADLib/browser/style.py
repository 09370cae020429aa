"""How the page looks: light, with the views in black, and nothing that has to come from elsewhere."""

STYLE = """
:root { --ink: #22303a; --soft: #5d6d78; --line: #d9e1e6; --paper: #ffffff; --ground: #f2f5f7; --accent: #14748c; }
html, body, #app { height: 100%; margin: 0; overflow: hidden; }
body { font: 14px/1.4 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; color: var(--ink); }
#app > div { height: 100%; }
.page { height: 100vh; display: grid; grid-template: 44px 1fr / 1fr 372px; background: var(--ground); }
.head { grid-column: 1 / 3; display: flex; align-items: center; gap: 14px; padding: 0 14px; background: var(--paper);
  border-bottom: 1px solid var(--line); white-space: nowrap; }
.head b { font-size: 17px; color: var(--accent); letter-spacing: .01em; }
.head .grow { flex: 1; min-width: 0; overflow: hidden; text-overflow: ellipsis; }
.head .notice { color: #8a4b00; background: #fff4e0; border-radius: 10px; padding: 2px 10px; font-size: 13px; }
select { font: inherit; color: inherit; border: 1px solid var(--line); border-radius: 6px; padding: 3px 6px;
  background: var(--paper); max-width: 260px; }
.views { display: grid; grid-template: 1fr 1fr / 1fr 1fr; gap: 2px; background: #39444b; overflow: hidden; }
.view { position: relative; background: #000; overflow: hidden; min-width: 0; min-height: 0; }
.over { position: absolute; color: #e6ebee; font-size: 13px; text-shadow: 0 0 3px #000, 0 0 2px #000;
  pointer-events: none; user-select: none; }
.over.name { top: 6px; left: 10px; }
.over.mixture { top: 6px; right: 10px; color: #ffd479; }
.over.part { top: 28px; white-space: nowrap; }
.over.left, .over.right { top: 50%; transform: translateY(-50%); font-weight: 600; }
.over.left { left: 8px; } .over.right { right: 8px; }
.over.low, .over.high { left: 50%; transform: translateX(-50%); font-weight: 600; }
.over.low { bottom: 24px; } .over.high { top: 6px; }
.view input[type=range] { position: absolute; left: 10px; right: 10px; bottom: 4px; width: calc(100% - 20px);
  opacity: .45; } .view input[type=range]:hover, .view input[type=range]:focus { opacity: 1; }
.view input.grip { appearance: none; direction: rtl; left: -8px; bottom: 26%; width: calc(100% + 16px); height: 34px;
  opacity: 1; background: none; pointer-events: none; }
.view input.grip::-webkit-slider-thumb { appearance: none; pointer-events: auto; cursor: ew-resize; width: 16px;
  height: 34px; box-sizing: border-box; border: 1px solid #000; border-radius: 8px; background: #fff; opacity: .85; }
.view input.grip::-moz-range-thumb { pointer-events: auto; cursor: ew-resize; width: 16px;
  height: 34px; box-sizing: border-box; border: 1px solid #000; border-radius: 8px; background: #fff; opacity: .85; }
.switch { display: inline-flex; border: 1px solid var(--line); border-radius: 6px; overflow: hidden; font-size: 12.5px;
  position: relative; }
.switch label { padding: 1px 10px; cursor: pointer; } .switch label.on { background: #d5ecf2; font-weight: 600; }
.switch input { position: absolute; opacity: 0; } .switch label:focus-within { outline: 2px solid var(--accent);
  outline-offset: -2px; }
.panel { display: flex; flex-direction: column; min-height: 0; background: var(--paper);
  border-left: 1px solid var(--line); }
.panel > section { padding: 10px 14px; border-bottom: 1px solid var(--line); }
.panel > section:first-child { max-height: 34vh; overflow: auto; box-sizing: border-box; flex-shrink: 0; }
.panel .fill { flex: 1; min-height: 96px; overflow: auto; padding: 0; }
.verdict { font-weight: 600; }
.warning, .error { margin-top: 6px; padding: 5px 9px; border-radius: 6px; font-size: 13px; }
.warning { background: #fff4e0; color: #6e3d00; } .error { background: #fde7e7; color: #8c1414; }
.row { display: flex; justify-content: space-between; align-items: baseline; gap: 8px; }
.row + .row, input + .row { margin-top: 8px; }
.value { font-weight: 600; font-variant-numeric: tabular-nums; white-space: nowrap; }
.soft { color: var(--soft); font-size: 12.5px; }
input[type=range] { width: 100%; margin: 4px 0 0; accent-color: var(--accent); height: 18px; }
label.check { display: inline-flex; gap: 6px; align-items: center; cursor: pointer; }
input[type=checkbox] { accent-color: var(--accent); margin: 0; }
.legend { height: 10px; border-radius: 3px; margin-top: 8px; border: 1px solid #000; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th { position: sticky; top: 0; background: var(--ground); text-align: right; font-weight: 600; font-size: 12.5px;
  color: var(--soft); padding: 5px 6px; }
td { text-align: right; padding: 5px 6px; border-bottom: 1px solid #edf1f3; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 14px; }
th:last-child, td:last-child { padding-right: 14px; white-space: pre; }
.given { max-width: 112px; margin-left: auto; overflow: hidden; text-overflow: ellipsis; font-weight: 600; }
tbody tr { cursor: pointer; } tbody tr:hover { background: #eef6f8; }
tbody tr.selected { background: #d5ecf2; }
tbody tr:focus-visible { outline: 2px solid var(--accent); outline-offset: -2px; }
.dot { display: inline-block; width: 11px; height: 11px; border-radius: 50%; margin-right: 7px;
  border: 1px solid rgba(0, 0, 0, .35); vertical-align: -1px; }
.none { padding: 14px; color: var(--soft); }
details summary { cursor: pointer; color: var(--accent); }
dl { display: grid; grid-template-columns: auto 1fr; gap: 2px 12px; margin: 8px 0 0; font-size: 12.5px;
  max-height: 150px; overflow: auto; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
.busy { opacity: .55; }
"""
