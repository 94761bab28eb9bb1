/* small_log.h: a log of four columns for tests of preparation, and the schema for it. */
#ifndef PRERANK_TESTS_DATA_SMALL_LOG_H
#define PRERANK_TESTS_DATA_SMALL_LOG_H
#include "base/str.h"
#include "tests/data/folder.h"

#define HEAD         "log: log.csv\nuser: u\nitem: i\nlabel: y\n"
#define COLUMNS      "columns:\n  uid: {side: user, from: u}\n  iid: {side: item, from: i}\n"
#define COLUMN_SPLIT "split: {by: column, column: part}\n"

/* n rows "u<k % users>,i<k % items>,<time>,<label>": labels 0 1 0 1 ..., times `step` rows a second. */
static inline void put_log(int n, int users, int items, int step) {
    struct str s = STR_INIT;
    str_add(&s, "u,i,t,y\n");
    for (int k = 0; k < n; k++)
        str_addf(&s, "u%d,i%d,%d,%d\n", k % users, k % items, k / step, k / users % 2);
    folder_put_text("log.csv", s.p);
    str_release(&s);
}

#endif
