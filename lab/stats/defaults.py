# SPDX-License-Identifier: GPL-2.0-only
"""What a comparison assumes where nobody says otherwise, and why.

The two belong together: with c % confidence and a smallest change of d %, ten interleaved repeats of one and
the same thing must come out as "same" 19 times in 20, and a loss of 10 % must be found. Share of 4,000
simulated labs each, by the whole of lab.stats.compare, with normal noise of the standard deviation given and
repeats paired by their number:

    repeats  noise   same at d = 4 %    5 %    6 %    7 %    10 % slower is regressed at d = 6 %
       10    1 %              1.000   1.000  1.000  1.000      1.000
       10    2 %              0.987   0.998  1.000  1.000      1.000
       10    2.5 %            0.890   0.983  0.999  1.000      1.000
       10    3 %              0.726   0.919  0.986  0.998      1.000
        5    1 %              0.999   1.000  1.000  1.000      1.000
        5    2 %              0.669   0.881  0.970  0.994      1.000
        5    3 %              0.237   0.458  0.657  0.817      0.963

6 % is the smallest whole number that does it at 3 %, the most that labs on quiet hosts show. Quieter labs
resolve less: say so by `smallest_change`. With five repeats it holds up to 2 % of noise.
tests/unit/stats/test_stats_planted.py keeps it so.
"""

from __future__ import annotations

#: A change smaller than this interests nobody, in per cent of the baseline's mean (points, where per cent is
#: the unit).
SMALLEST_CHANGE_PCT = 6.0

#: A change is claimed where it would come about by chance in 5 % of all reports at most; "same" where a
#: change as large as the smallest of interest would hide behind such values in 5 % of all cases at most.
CONFIDENCE_PCT = 95.0

#: Where resampling starts: the same values give the same interval.
SEED = 1

#: Resamples of the bootstrap: the ends of an interval of ten repeats vary by about 2 % of its width from seed
#: to seed.
RESAMPLES = 10_000

#: Fewer values than this of either side say nothing about noise: two can be equal by chance.
FEWEST = 3
