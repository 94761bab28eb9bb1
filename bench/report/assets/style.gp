# The one style of every picture. Scripts that follow use these names only, never a colour of their own.
# A line `name = '#light' # dark #dark` also says what the colour becomes on a dark background (bench/report/svg.c).
# Series colours: Okabe and Ito's, darkened to at least 3:1 against paper, in the order of effect.csv.
ink   = '#1f2328' # dark #e6eaef
muted = '#5c6670' # dark #9aa4af
faint = '#d3d8dd' # dark #444c56
grid  = '#e8ebee' # dark #2a3037
front = '#8a939c' # dark #77818c
paper = '#ffffff' # dark #14181d
c1 = '#0072b2' # dark #4da6e0
c2 = '#d55e00' # dark #f0823d
c3 = '#00875f' # dark #2fbf92
c4 = '#b8558f' # dark #e08fc0
c5 = '#a87400' # dark #e3b23c
c6 = '#3792c6' # dark #8fd0f5
c7 = '#6a51a3' # dark #b09be6
c8 = '#6f6f60' # dark #b9b9a6

set encoding utf8
set minussign
unset key
set border 0
set tics nomirror scale 0 textcolor rgb muted
set xtics offset 0,0.2
set grid xtics ytics back linetype 1 linewidth 0.8 linecolor rgb grid
set style fill transparent solid 0.16 noborder
