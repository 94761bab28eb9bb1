#!/usr/bin/env python3
"""Breaks metrics/ and nn/ops/ in many small ways, one at a time, and shows that the module's tests notice each.

    tests/mutate.py [--build build] [--only PART] [--sample N] [--jobs 2]

A mutant is a line of MUTANTS: file, text that is there, text that takes its place. It is applied to a copy of the checkout
(with its build directory, so that one file is compiled), the module's test program is built and run until its first failure.
--jobs mutants are tried at a time, each in a copy of its own.
Caught: a test fails, crashes or hangs. A mutant that survives, or whose text is no longer there once, is exit code 1: write the
missing test, or change the mutant with the code. --sample N takes every so many, N in all; every mutant's text is looked up anyway.
"""
import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time

M, O = "metrics/", "nn/ops/"
MUTANTS = [
    # ranking by score
    (M + "auc.c", "hits * (2 * below + misses)", "hits * (2 * below)", "ties count nothing"),
    (M + "auc.c", "hits * (2 * below + misses)", "hits * (2 * below + 2 * misses)", "ties count whole"),
    (M + "auc.c", "if (above == 0 || below == 0) return NAN;", "if (above == 0 || below == 0) return .5;", "a half where there is no AUC"),
    (M + "auc.c", "below += misses;", "below += end - i;", "positives counted as negatives"),
    (M + "rows.c", "if (bits == sign) return sign;", "if (bits == sign) return sign - 1;", "-0 below 0"),
    (M + "rows.c", "bits & sign ? ~bits", "bits & sign ? bits", "negative scores in reverse"),
    (M + "rows.c", "rows[j - 1].key > r.key", "rows[j - 1].key >= r.key + 2", "the short sort leaves neighbours"),
    (M + "rows.c", "shift < 64; shift += 8", "shift < 56; shift += 8", "the last byte is not sorted"),
    (M + "rows.c", "rows[end].key >> 32 == rows[from].key >> 32) end++", "rows[end].key >> 33 == rows[from].key >> 33) end++", "two users are one"),
    (M + "gauc.c", "hits > 0 && hits < end - i", "hits > 0", "users of one class are counted"),
    (M + "gauc.c", "kept += end - i;", "kept += positives;", "share of rows kept"),
    (M + "gauc.c", "return (double)positives;", "return (double)exposures;", "weighting by positives"),
    (M + "gauc.c", "sum += u->weight * u->auc;", "sum += u->auc;", "no weights"),
    (M + "ranking.c", "log2((double)i + 2);", "log2((double)i + 3);", "discount of the next position"),
    (M + "ranking.c", "positives < k ? positives : k", "k", "ideal of too many positives"),
    (M + "ranking.c", "sum->hit_rate += 1 - none;", "sum->hit_rate += none;", "misses for hits"),
    (M + "ranking.c", "(double)(tied - hits - i) / (double)(tied - i)", "(double)(tied - hits) / (double)tied", "draws with replacement"),
    (M + "ranking.c", "found += share * (double)slots;", "found += share * (double)tied;", "a tie at the cut counts whole"),
    (M + "cascade.c", "passed[best[i].value] = 1;", "passed[i] = 1;", "the first k instead of the best"),
    (M + "cascade.c", "(uint32_t)~rows_key(score[i])", "(uint32_t)rows_key(score[i])", "the worst for the best"),
    (M + "cascade.c", "if (i >= top || !hit) continue;", "if (i > top || !hit) continue;", "one position too many"),
    (M + "cascade.c", "*out = (double)common / (double)m;", "*out = (double)common / (double)k;", "overlap relative to what passed"),
    (M + "cascade.c", "qsort(kept, k, sizeof *kept, by_index);", "", "ties of the ranker in the pre-ranker's order"),
    (M + "cascade.c", "i < positives && i < top; i++) ideal", "i < positives; i++) ideal", "ideal of more positions than are shown"),
    (M + "cascade.c", "(double)found / (double)positives}", "(double)hits / (double)positives}", "recall of the shown for that of the kept"),
    # calibration
    (M + "probability.c", "label[i] ? q : 1 - q", "label[i] ? q : q", "negatives' loss"),
    (M + "probability.c", "const double least = 1e-15;", "const double least = 1e-3;", "clipped too early"),
    (M + "probability.c", "clicked ? predicted / (double)clicked", "clicked ? predicted / (double)n", "PCOC by rows"),
    (M + "probability.c", "(double)c.n * fabs(", "fabs(", "bins without weights"),
    (M + "probability.c", "size + (b < larger)", "size + (b <= larger)", "a bin too large"),
    # statistics
    (M + "percentiles.c", "(double)(k - 1) / (double)n >= p) k--", "(double)(k - 1) / (double)n > p) k--", "rank at exact quotients"),
    (M + "percentiles.c", "miss = (1 - confidence) / 2, guess", "miss = 1 - confidence, guess", "samples for one side"),
    (M + "percentiles.c", "*hi = sorted[upper - 1];", "*hi = sorted[upper - 2];", "the upper end one rank low"),
    (M + "stats.c", "return sqrt(sum / (double)(n - 1));", "return sqrt(sum / (double)n);", "biased deviation"),
    (M + "stats.c", "stat_t_quantile(.5 + confidence / 2, (double)(n - 1))", "stat_t_quantile(.5 + confidence / 2, (double)n)", "degrees of freedom"),
    (M + "stats.c", "(double)(n - i) * test[i].p", "(double)n * test[i].p", "Bonferroni for Holm"),
    (M + "stats.c", "least = fmax(least, q);", "least = q;", "adjusted p falls"),
    (M + "beta.c", "odd = -(a + m) * (a + b + m)", "odd = (a + m) * (a + b + m)", "sign of the continued fraction"),
    (M + "bootstrap.c", "(1 - confidence) / 2 + 1e-9", "(1 - confidence) + 1e-9", "interval of one side"),
    (M + "bootstrap.c", "low += value[r] <= 0;", "low += value[r] < 0;", "a difference of nothing is significant"),
    (M + "bootstrap.c", "i += p->user <= q->user;", "i++;", "pairing goes astray"),
    (M + "signed_rank.c", "rank[k] = i + 1 + end;", "rank[k] = 2 * (i + 1);", "ties get the lowest rank"),
    (M + "signed_rank.c", "s-- > sum;)", "s-- > sum + 1;)", "the observed sum is left out"),
    (M + "signed_rank.c", "*hi = walsh[pairs - q];", "*hi = walsh[pairs - q - 1];", "the upper end one too low"),
    # operations: forward
    (O + "bce.c", "(z > 0 ? z : 0) - z * y[r]", "(z > 0 ? z : 0) + z * y[r]", "sign of the label's term"),
    (O + "bce.c", "(p - y[r])", "(p - y[r] * p)", "gradient of the label's term"),
    (O + "batch_norm.c", "s[j].inverse_sd / (n - 1) : var", "s[j].inverse_sd / n : var", "biased running variance"),
    (O + "batch_norm.c", "#define MOMENTUM 0.1", "#define MOMENTUM 0.9", "momentum"),
    (O + "batch_norm.c", " - xhat * sum[j].inverse_sd / n)", ")", "a term of the gradient"),
    (O + "batch_norm.c", "c->param_grad[1][j] += (float)sum[j].mean;", "c->param_grad[1][j] += (float)sum[j].mean / (float)n;", "bias gradient is a mean"),
    (O + "dropout.c", "keep = (float)(1 / (1 - p));", "keep = 1;", "not scaled up"),
    (O + "dropout.c", "(uint32_t)(c->first_row + r)", "(uint32_t)r", "every slice drops the same rows"),
    (O + "normalize.c", "vec_copy(1, w, d, y, -along * inverse[r], true);", "", "the part along the row"),
    (O + "embedding.c", "vec_copy(1, dim, mat_rows(c->out, r), (struct mat){c->param[0], 0}, col->number[r], false);", "vec_copy(1, dim, mat_rows(c->out, r), (struct mat){c->param[0], 0}, 1, false);", "numbers' values"),
    (O + "linear.c", "gemm_tn_add(c->rows, units, k, c->out_grad, c->in[0], c->param_grad[0], k);", "", "no weight gradient"),
    (O + "elementwise.c", "vec_mul(c->rows, WIDTH(c), c->in_grad[1], c->out_grad, c->in[0], false, c->in_acc[1]);", "vec_mul(c->rows, WIDTH(c), c->in_grad[1], c->out_grad, c->in[1], false, c->in_acc[1]);", "product rule with the wrong factor"),
    (O + "elementwise.c", "vec_copy(c->rows, WIDTH(c), c->out, c->in[k], 1, k > 0);", "vec_copy(c->rows, WIDTH(c), c->out, c->in[k], 1, k > 1);", "the first summand is lost"),
    (O + "reduce.c", "c->in_grad[k], c->in[1 - k], c->out_grad, true", "c->in_grad[k], c->in[k], c->out_grad, true", "inner product's gradient"),
    (O + "reduce.c", "mat_cols(c->in[0], (size_t)c->node->attr_i[0]), 1,", "mat_cols(c->in[0], (size_t)c->node->attr_i[0] - 1), 1,", "a window one column early"),
    (O + "concat.c", "if (dst.p != c->in[k].p) vec_copy", "if (0) vec_copy", "inputs that lie elsewhere"),
    (O + "group.c", "if (v > top) {", "if (v < top) {", "the worst match"),
    (O + "group.c", "size_t x = i * d, y = best[r * h + i] * d;", "size_t x = i * d, y = i * d;", "gradient to the wrong head"),
    (O + "attention.c", "x[i * 4 * d + 2 * d + k] = h[i * d + k] - q[k];", "x[i * 4 * d + 2 * d + k] = h[i * d + k] + q[k];", "difference for sum"),
    (O + "attention.c", "dq[k] += x[d + k] - x[2 * d + k]", "dq[k] += x[d + k] + x[2 * d + k]", "sign of the target's gradient"),
    (O + "attention.c", "if (n > t) n = t;", "if (n >= t) n = t - 1;", "the last recent item"),
    (O + "cin.c", "(i ? dx0[j * n + c] : 0) + g[c] * x[i * n + c];", "(i ? dx0[j * n + c] : 0) + g[c] * x0[j * n + c];", "gradient of the other map"),
    (O + "attention.c", "s.w[i] += c->param[3][0];", "s.w[i] += 0;", "no bias of the weights"),
    (O + "attention.c", "dh[i * d + k] += w[i] * g[k] + x[k]", "dh[i * d + k] += x[k]", "the weighted sum's own gradient"),
    (O + "attention.c", "c->param_grad[3][0] += dw;", "c->param_grad[3][0] = dw;", "bias gradient of the last item"),
    (O + "attention.c", "            w += n;\n", "", "every row of a block has the first one's weights"),
    (O + "cin.c", "(j ? dx[i * n + c] : 0) + g[c] * x0[j * n + c];", "g[c] * x0[j * n + c];", "gradient of the last pair"),
    (O + "cin.c", "(struct mat){c->param_grad[0], hf}, true);", "(struct mat){c->param_grad[0], hf}, false);", "weight gradient of the last block"),
    (O + "cin.c", "row_by_row(b.rows, s.f, s.d, b.dx0, from_row(c->in_grad[1], r), true);", "row_by_row(b.rows, s.f, s.d, b.dx0, from_row(c->in_grad[1], 0), true);", "every block's gradient to the first rows"),
    (O + "column_scale.c", "c->param_grad[0][k] += x[k] * g[k];", "c->param_grad[0][k] += g[k];", "factor's gradient"),
    (O + "covariance.c", "1 / (s->count[k] - 1)", "1 / s->count[k]", "biased covariance"),
    (O + "covariance.c", "s.count[k] == s.count[major] && s.id[k] < s.id[major]", "s.count[k] == s.count[major] && s.id[k] > s.id[major]", "ties for the largest category"),
    (O + "covariance.c", "2 * total / (s.count[k] - 1)", "2 * total / s.count[k]", "gradient of a biased covariance"),
    (O + "lookup_sum.c", "c->param[k] + at[0], (size_t)at[1], c->in_col[n_x + k]->ids}", "c->param[k], (size_t)at[1], c->in_col[n_x + k]->ids}", "the wrong part of a table's row"),
    (O + "concrete_gate.c", "log(u) - log1p(-u)", "log(u) + log1p(-u)", "noise that is no logit"),
    (O + "concrete_gate.c", "sum * z * (1 - z) / c->node->attr_f[0]", "sum * z * (1 - z)", "temperature in the gradient"),
    (O + "group_norm.c", "return sqrt(sum);", "return sum;", "squared norm"),
    (O + "group_norm.c", "(float)(g / norm)", "(float)g", "gradient of the squared norm"),
    (O + "sampled_softmax.c", "batch ? (double)p->n_rows - 1 : 0", "batch ? (double)p->n_rows : 0", "clicks of the other rows"),
    (O + "sampled_softmax.c", "(float)(-c->node->attr_f[1] * log(expected))", "(float)(c->node->attr_f[1] * log(expected))", "sign of logQ"),
    (O + "sampled_softmax.c", "if (item < 0 || item == value(c, IN_ITEM, row))", "if (item < 0)", "a row's own item among its hard negatives"),
    (O + "sampled_softmax.c", "score[j] = item[j] == own ? -(float)INFINITY : shifted;", "score[j] = item[j] + own < -2 ? 0 : shifted;", "a row's own item among the candidates"),
    (O + "sampled_softmax.c", "(expf(p->own[i] - p->log_z[i]) - 1);", "expf(p->own[i] - p->log_z[i]);", "gradient that does not raise the own score"),
    (O + "sampled_softmax.c", "add_to(c, IN_U, p->row[i], scale, p->u_grad + i * p->d);", "add_to(c, IN_U, p->row[i], 1, p->u_grad + i * p->d);", "the user's gradient without the scale"),
    (O + "sampled_softmax.c", "for (int task = 0; task < TASKS; task++) add_to", "for (int task = 1; task < TASKS; task++) add_to", "the first part's gradient is lost"),
    (O + "sampled_softmax.c", "return (float)((double)c->rows / (double)p->n_rows) *", "return", "gradient by rows, loss by clicks"),
    (O + "sampled_softmax.c", "if (w == 0) continue;", "if (w >= 0) continue;", "no gradient to hard negatives"),
    # losses
    ("nn/loss_distill.c", "d->weight * t * t);", "d->weight * t);", "one temperature of two in distillation"),
    ("nn/loss_distill.c", "nn_scale(g, g->output, 1 / t);", "nn_scale(g, g->output, t);", "the student is sharpened"),
    ("nn/loss.c", "double weight = taught ? 1 - o->distill.weight : 1;", "double weight = 1;", "the labels' loss at full weight"),
    ("nn/loss_distill.c", "1.0 / width), d->feature);", "1.0), d->feature);", "a sum of squares for their mean"),
    ("nn/loss_softmax.c", ".scale = t.scale / o->temperature,", ".scale = t.scale * o->temperature,", "temperature the wrong way round"),
    ("nn/loss_softmax.c", "g->node[map[i]]->attr_i[0] = map[i]; /* its own draws */", "g->node[map[i]]->attr_i[0] = i;", "both copies of a tower drop the same units"),
]


def module_of(path):
    return path.split("/", 1)[0]


class Copy:
    def __init__(self, root, build, work):
        self.root, self.build = work, "build"
        names = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=root, check=True, capture_output=True, text=True).stdout
        for name in names.split("\n"):
            if name and (root / name).is_file():
                (work / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(root / name, work / name)
        for part in ("obj", "tests"):
            shutil.copytree(root / build / part, work / "build" / part, copy_function=shutil.copy2)
        for part in ("libprerank.a", "prerank"):
            shutil.copy2(root / build / part, work / "build" / part)

    def make(self, module):
        # a mutant may leave a variable unused; that is not what should catch it
        return subprocess.run(["make", "BUILD=build", "WARN=-w", f"build/tests/{module}"], cwd=self.root, capture_output=True, text=True)

    def test(self, module):
        """Does it fail? A hang counts."""
        try:
            done = subprocess.run([f"build/tests/{module}", "--fail-fast"], cwd=self.root, capture_output=True, text=True, timeout=300)
        except subprocess.TimeoutExpired:
            return True
        return done.returncode != 0


def stale(root):
    wrong = []
    for file, old, new, what in MUTANTS:
        path = root / file
        times = path.read_text().count(old) if path.exists() else 0
        if times != 1 or old == new:
            wrong.append(f"{file} ({what}): the text is there {times} times, once is needed: {old}")
    return wrong


def try_one(copy, mutant):
    """What becomes of it, and what the compiler says."""
    file, old, new, _ = mutant
    path = copy.root / file
    text = path.read_text()
    path.write_text(text.replace(old, new))
    made = copy.make(module_of(file))
    verdict = "does not compile" if made.returncode else "caught" if copy.test(module_of(file)) else "SURVIVES"
    path.write_text(text)
    os.utime(path)  # later than the object
    return verdict, made.stderr[-500:] if made.returncode else ""


def run(copies, mutants):
    """Returns how many were not caught. Mutants of one file follow each other in one copy, as each file that changes is compiled."""
    todo, lock, survived = list(enumerate(mutants)), threading.Lock(), []

    def work(copy):
        last = None
        while True:
            with lock:
                if not todo:
                    return
                at = next((k for k, (_, m) in enumerate(todo) if m[0] == last), 0)
                i, mutant = todo.pop(at)
            last, begin = mutant[0], time.monotonic()
            verdict, why = try_one(copy, mutant)
            with lock:
                survived.extend([mutant] if verdict != "caught" else [])
                print(f"{i + 1:3} {verdict:9} {time.monotonic() - begin:5.1f} s  {mutant[0]}: {mutant[3]}{why and chr(10) + why}", flush=True)

    threads = [threading.Thread(target=work, args=(c,)) for c in copies]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return len(survived)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("--only", default="")
    parser.add_argument("--sample", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    root = pathlib.Path(__file__).resolve().parent.parent
    wrong = stale(root)
    for line in wrong:
        print("mutate:", line)
    mutants = [m for m in MUTANTS if args.only in m[0] + " " + m[3] and not any(w.startswith(f"{m[0]} ({m[3]})") for w in wrong)]
    if args.sample:
        step = max(1, len(mutants) // args.sample)
        mutants = mutants[step // 2 :: step][: args.sample]
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="prerank-mutate-") as work:
        copies = [Copy(root, args.build, pathlib.Path(work) / str(k)) for k in range(max(1, min(args.jobs, len(mutants))))]
        for module in sorted({module_of(m[0]) for m in mutants}):
            made = copies[0].make(module)
            if made.returncode or copies[0].test(module):
                print(f"mutate: the tests of {module} fail without a mutant\n{made.stderr[-500:]}")
                return 2
        survived = run(copies, mutants)
    print(f"{len(mutants)} mutants, {len(mutants) - survived} caught, {len(wrong)} out of date, {time.monotonic() - begin:.0f} s")
    return 1 if survived or wrong or not mutants else 0


if __name__ == "__main__":
    sys.exit(main())
