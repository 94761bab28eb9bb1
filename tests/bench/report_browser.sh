#!/bin/bash
# Opens report.html in headless Chromium, light and dark, wide, narrow and as on paper: no message on the console, nothing
# wider than the window or the sheet, nothing that moves after the page has come, every picture there, every name inside its
# picture and none over another, no text that is cut; every column of every table sorts, and says so to a screen reader.
# tests/bench/test_files.c runs it, on the page of tests/bench/page.yaml, which has every section.
#
#     tests/bench/report_browser.sh [report.html]       without one: made from tests/fixtures/tradeoff by build/prerank
#
# Prints "N passed, N failed" or "skipped: why".
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chromium=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || {
    echo "skipped: there is no chromium (Debian: apt-get install chromium)"
    exit 0
}
page=${1:-}
if [ -z "$page" ]; then
    prerank=${PRERANK:-$root/build/prerank}
    [ -x "$prerank" ] || { echo "skipped: $prerank is not built"; exit 0; }
    cp "$root"/tests/fixtures/tradeoff/{effect,compute,curves,latency}.csv "$root"/tests/fixtures/tradeoff/manifest.json "$work"
    (cd "$work" && "$prerank" report . > table.txt) || { echo "0 passed, 1 failed"; exit 1; }
    page=$work/report.html
fi
# The page with a check at its end, which writes what it found into the page.
cat > "$work/check.html" <<'EOF'
<script>
'use strict';
let moved = 0; // before the tables are sorted, which moves rows
new PerformanceObserver(list => { for (const x of list.getEntries()) moved += x.value; })
  .observe({type: 'layout-shift', buffered: true});
const wrong = [];
const say = (what, good) => { if (!good) wrong.push(what); };
const name = e => e.textContent.trim().replace(/\s+/g, ' ').slice(0, 60);
const root = document.documentElement;

// Text of the page: all of it to be seen, none of it over its box.
function whole_text() {
  for (const e of document.querySelectorAll('h1,h2,h3,p,th,td,dt,dd,li,figcaption,summary,button')) {
    const box = e.getBoundingClientRect(), style = getComputedStyle(e);
    if (!box.width || style.display === 'inline' || style.display === 'contents') continue;
    if (e.scrollWidth > e.clientWidth + 1 || (style.overflowY !== 'visible' && e.scrollHeight > e.clientHeight + 1))
      wrong.push('text leaves its ' + e.tagName + ': ' + name(e) + ' ' + e.scrollWidth + ' > ' + e.clientWidth);
    say('not a number: ' + name(e), !/\bnan\b/.test(e.textContent));
    say('an ellipsis: ' + name(e), style.textOverflow === 'clip' && !/\S…(\s|$)/.test(e.textContent));
  }
}

// Text of the pictures: inside, legible, not cut and not over another. Letters take about two thirds of a line's box.
function pictures(shown) {
  for (const svg of shown) {
    const p = svg.getBoundingClientRect(), seen = [];
    for (const text of svg.querySelectorAll('text')) {
      const t = text.getBoundingClientRect(), what = text.textContent.trim();
      if (!what) continue;
      if (t.left < p.left - 2 || t.right > p.right + 2 || t.top < p.top - 2 || t.bottom > p.bottom + 2)
        wrong.push('text leaves its picture: ' + what);
      if (t.height < 8.9) wrong.push('text is too small: ' + what + ' ' + t.height);
      say('text is cut: ' + what, !what.includes('…'));
      const at = {what, x0: t.left, x1: t.right, y0: t.top + t.height / 6, y1: t.bottom - t.height / 6};
      for (const o of seen)
        say('text over text: ' + at.what + ' / ' + o.what,
            at.x0 > o.x1 - 1 || o.x0 > at.x1 - 1 || at.y0 > o.y1 - 1 || o.y0 > at.y1 - 1);
      seen.push(at);
    }
    say('a picture without text: ' + svg.querySelector('title').textContent, seen.length > 0);
  }
}

// Every column of every table, up and down: by number where cells have one, else by text; empty cells stay at the end.
function sorts(table) {
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
  const where = name(table.closest('section').querySelector('h2'));
  const rows = () => [...body.rows].map(r => r.textContent);
  const before = rows().sort().join('\n');
  const value = c => 'v' in c.dataset ? Number(c.dataset.v) : c.textContent.trim().toLowerCase();
  const collator = new Intl.Collator(undefined, {numeric: true});
  say(where + ': a table without rows', body.rows.length > 0);
  for (const head of heads) {
    const what = where + ', ' + name(head) + ': ', ways = new Set();
    for (const want of [null, null]) {
      head.querySelector('button').click();
      const way = head.getAttribute('aria-sort');
      ways.add(way);
      const cells = [...body.rows].map(r => r.cells[head.cellIndex]);
      if (cells.some(c => !c)) {
        wrong.push(what + 'rows without a cell');
        break;
      }
      const full = cells.filter(c => !c.classList.contains('none')), v = full.map(value);
      say(what + 'an empty cell before a full one', full.every((c, i) => c === cells[i]));
      say(what + 'numbers and texts', new Set(v.map(x => typeof x)).size <= 1);
      say(what + 'not a number', !v.some(x => typeof x === 'number' && isNaN(x)));
      const order = (a, b) => typeof a === 'number' ? a - b : collator.compare(a, b);
      say(what + 'not sorted', v.every((x, i) => !i || (way === 'descending' ? order(v[i - 1], x) >= 0 : order(v[i - 1], x) <= 0)));
    }
    say(what + 'sorts one way only', ways.has('ascending') && ways.has('descending') && ways.size === 2);
    say(what + 'aria-sort on one column only',
        table.querySelectorAll('th[aria-sort=ascending],th[aria-sort=descending]').length === 1);
  }
  say(where + ': rows got lost', before === rows().sort().join('\n'));
}

setTimeout(() => {
  say('the layout moved: ' + moved, moved < 0.001);
  for (const fold of document.querySelectorAll('details')) fold.open = true;
  say('the page is wider than the window: ' + root.scrollWidth + ' > ' + innerWidth, root.scrollWidth <= innerWidth);
  const shown = [...document.querySelectorAll('svg.plot')].filter(p => p.getBoundingClientRect().width > 0);
  const all = document.querySelectorAll('figure').length;
  say(shown.length + ' pictures shown of ' + all + ' figures', all > 0 && shown.length === all);
  pictures(shown);
  whole_text();
  if (location.hash === '#print') // on paper nothing scrolls
    for (const box of document.querySelectorAll('.scroll'))
      say('a table is wider than the sheet: ' + name(box.closest('section').querySelector('h2')) + ' ' + box.scrollWidth + ' > ' +
          root.clientWidth, box.scrollWidth <= root.clientWidth + 1);
  const tables = [...document.querySelectorAll('table.sortable')];
  say('there is no table', tables.length > 0);
  tables.forEach(sorts);
  say('a reference to the network', !document.querySelector('[src^=http],link[href^=http],image[href]'));
  parent.postMessage(wrong.length ? 'WRONG ' + [...new Set(wrong)].join(' | ') : 'ALL GOOD', '*');
}, 500);
</script>
EOF
python3 - "$page" "$work" <<'EOF'
import sys
page, work = sys.argv[1:]
text = open(page, encoding="utf-8").read()
assert text.count("</body>") == 1, "report.html must have one </body>"
text = text.replace("</body>", open(work + "/check.html").read() + "</body>")
open(work + "/checked.html", "w", encoding="utf-8").write(text)
# the style of paper on the screen; 688 pixels are A4 without its margins
open(work + "/printed.html", "w", encoding="utf-8").write(text.replace("@media print", "@media all").replace("@media screen", "@media speech"))
EOF
passed=0 failed=0
for look in "1200 1 checked.html" "390 1 checked.html" "360 1 checked.html" "1200 0 checked.html" "390 0 checked.html" "688 1 printed.html#print"; do
    set -- $look
    # Chromium's windows have a least width, frames have none
    cat > "$work/frame.html" <<EOF
<!doctype html><title>frame</title><p id="verdict"></p>
<script>onmessage = m => { document.getElementById('verdict').textContent = m.data; };</script>
<iframe style="border:0" width="$1" height="900" src="$3"></iframe>
EOF
    # on a busy machine the page may not be ready in time: that says nothing about the page, so once more
    for attempt in 1 2 3; do
        timeout 120 "$chromium" --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking \
            --disable-component-update --disable-sync --user-data-dir="$(mktemp -d -p "$work")" \
            --blink-settings=preferredColorScheme="$2" --enable-logging=stderr --window-size=1300,1000 \
            --virtual-time-budget=4000 --dump-dom "file://$work/frame.html" > "$work/frame.dom" 2> "$work/frame.log"
        verdict=$(grep -o '<p id="verdict">[^<]*' "$work/frame.dom" | cut -d'>' -f2)
        [ -z "$verdict" ] || break
    done
    console=$(grep -h ':CONSOLE' "$work/frame.log")
    if [ "$verdict" = "ALL GOOD" ] && [ -z "$console" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "$3, width $1, $([ "$2" = 1 ] && echo light || echo dark): ${verdict:-the check did not run} $console"
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
