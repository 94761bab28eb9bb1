# The one style of every picture. Scripts that follow use these names only, never a colour of their own.
# A line `name = '#light' # dark #dark` also says what the colour becomes on a dark background (bench/report/svg.c).
# Series colours, in the order of effect.csv: at least 3:1 against paper, and any two of them far enough apart for everybody, also with
# protanopia, deuteranopia and tritanopia (tests/bench/check_report.py; they were searched for so).
ink   = '#1f2328' # dark #e6eaef
muted = '#5c6670' # dark #9aa4af
faint = '#d3d8dd' # dark #444c56
grid  = '#e8ebee' # dark #2a3037
front = '#8a939c' # dark #77818c
paper = '#ffffff' # dark #14181d
c1 = '#0a53b8' # dark #afcdf3
c2 = '#763406' # dark #eda038
c3 = '#759871' # dark #3fe6b4
c4 = '#ba77a0' # dark #cf356b
c5 = '#7a7622' # dark #957907
c6 = '#3093f2' # dark #2d75ce
c7 = '#5e3b66' # dark #9893bf
c8 = '#485854' # dark #80a49c

set encoding utf8
set minussign
unset key
set border 0
set tics nomirror scale 0 textcolor rgb muted
set xtics offset 0,0.2
set grid xtics ytics back linetype 1 linewidth 0.8 linecolor rgb grid
set style fill transparent solid 0.16 noborder
