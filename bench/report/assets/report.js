// Sorts tables by a column; empty cells stay at the end.
'use strict';
for (const table of document.querySelectorAll('table.sortable')) {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  const value = (row, i) => {
    const cell = row.cells[i];
    if (!cell || cell.classList.contains('none')) return null;
    return 'v' in cell.dataset ? Number(cell.dataset.v) : cell.textContent.trim().toLowerCase();
  };
  const compare = (a, b) =>
    typeof a === 'number' && typeof b === 'number' ? a - b
      : String(a).localeCompare(String(b), undefined, {numeric: true});
  heads.forEach((head, i) => head.querySelector('button').addEventListener('click', () => {
    const now = head.getAttribute('aria-sort');
    const down = now === 'none' ? /\b[hm]\b/.test(head.className) : now === 'ascending';
    for (const other of heads) other.setAttribute('aria-sort', 'none');
    head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
    const rows = [...body.rows].map(row => [value(row, i), row]);
    rows.sort(([a], [b]) =>
      a === null || b === null ? (a === null) - (b === null) : down ? compare(b, a) : compare(a, b));
    body.append(...rows.map(([, row]) => row));
  }));
}
