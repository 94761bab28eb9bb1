#!/bin/bash
# Opens report.html in headless Chromium, light and dark, wide, narrow and as on paper: no message on the console, nothing
# wider than the window or the sheet, nothing that moves after the page has come, every picture there and every name inside
# its picture, sorting works and says so to a screen reader. tests/bench/test_files.c runs it.
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
setTimeout(() => {
  const wrong = [];
  const say = (what, good) => { if (!good) wrong.push(what); };
  say('the layout moved: ' + moved, moved < 0.001);
  const root = document.documentElement;
  say('the page is wider than the window: ' + root.scrollWidth + ' > ' + innerWidth, root.scrollWidth <= innerWidth);
  const shown = [...document.querySelectorAll('svg.plot')].filter(p => p.getBoundingClientRect().width > 0);
  const all = document.querySelectorAll('figure').length;
  say(shown.length + ' pictures shown of ' + all + ' figures', shown.length === all);
  for (const text of shown.flatMap(p => [...p.querySelectorAll('text')])) {
    const t = text.getBoundingClientRect(), p = text.closest('svg').getBoundingClientRect();
    if (t.left < p.left - 2 || t.right > p.right + 2) wrong.push('text leaves its picture: ' + text.textContent);
    if (t.height < 8.9 && text.textContent.trim()) wrong.push('text is too small: ' + text.textContent + ' ' + t.height);
  }
  for (const table of document.querySelectorAll('table.sortable')) {
    const head = table.tHead.rows[0].cells[table.tHead.rows[0].cells.length > 3 ? 2 : 0];
    const before = [...table.tBodies[0].rows].length;
    for (const want of [null, null]) {
      head.querySelector('button').click();
      say('aria-sort', ['ascending', 'descending'].includes(head.getAttribute('aria-sort')));
      const cells = [...table.tBodies[0].rows].map(r => r.cells[head.cellIndex]).filter(c => c && 'v' in c.dataset);
      const v = cells.map(c => Number(c.dataset.v));
      const down = head.getAttribute('aria-sort') === 'descending';
      say('not sorted: ' + head.textContent, v.every((x, i) => !i || (down ? v[i - 1] >= x : v[i - 1] <= x)));
    }
    say('rows got lost', before === table.tBodies[0].rows.length);
    say('aria-sort on one column only', table.querySelectorAll('th[aria-sort=ascending],th[aria-sort=descending]').length === 1);
  }
  say('a reference to the network', !document.querySelector('[src^=http],link[href^=http],image[href]'));
  if (location.hash === '#print') // on paper nothing scrolls
    for (const box of document.querySelectorAll('.scroll'))
      say('a table is wider than the sheet: ' + box.scrollWidth + ' > ' + root.clientWidth, box.scrollWidth <= root.clientWidth + 1);
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
