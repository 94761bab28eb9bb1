#include "tests/bench/folders.h"
#include "base/file.h"
#include <criterion/criterion.h>
#include <stdio.h>

const struct folder folder_usual = {
    "d1",       "w1", "p1",  "cpu1", "{\"variants\": [{\"options\": {\"dim\": 8}}], \"seeds\": [1]}",
    "finished", "ok", "100", "50",   0,
    0};

enum { USERS = 120, ROWS = 20 };

void folder_predictions(struct scratch *s, const char *dir, const struct folder *f, const char *features,
                        int seed) {
    char name[128], *text = arena_alloc(&s->arena, USERS * ROWS * 64 + 64), *to = text;
    unsigned a = 7, b = 11;
    to += sprintf(to, "row,user,label,score\n");
    for (int i = 0; i < USERS * ROWS; i++) {
        int label = scratch_uniform(&a) < .4;
        double score = 2 * scratch_uniform(&a) + .6 * label, wobble = scratch_uniform(&b) - .5;
        score += f->noise * wobble;
        if (label && scratch_uniform(&b) < f->drop) score -= .6;
        to += sprintf(to, "%d,%d,%d,%.9g\n", i, i / ROWS, label, score);
    }
    snprintf(name, sizeof name, "%s/predictions/mlp.%s.%d.csv", dir, features, seed);
    scratch_write(s, name, text);
}

void folder_write(struct scratch *s, const char *name, struct folder f, const char *gauc) {
    char path[256], text[2048];
    struct err e = ERR_INIT;
    const char *const *from = (const char *const *)&folder_usual;
    const char **to = (const char **)&f;
    for (int i = 0; i < 9; i++)
        if (!to[i]) to[i] = from[i];
    snprintf(path, sizeof path, "%s/%s/predictions", s->dir, name);
    cr_assert_eq(file_make_dirs(path, &e), 0);
    snprintf(text, sizeof text,
             "{\"status\": \"%s\", \"version\": \"1\", \"revision\": \"r\", \"data_hash\": \"%s\", "
             "\"config_hash\": \"%p\",\n"
             "\"written_hash\": \"%s\", \"program_hash\": \"%s\", \"config\": %s,\n"
             "\"machine\": {\"cpu\": \"%s\", \"blas_kernel\": \"k\"}}\n",
             f.status, f.data_hash, (const void *)f.config, f.written_hash, f.program_hash, f.config, f.cpu);
    snprintf(path, sizeof path, "%s/manifest.json", name);
    scratch_write(s, path, text);
    snprintf(
        text, sizeof text,
        "variant,features,seed,split,auc,gauc,logloss,pcoc,ece,ndcg10,hr10,epochs,rows,params,status,note\n"
        "mlp,all,1,valid,.7,%s,.5,1,0,.5,.5,3,9,%s,%s,\nmlp,all,1,test,.7,%s,.5,1,0,.5,.5,3,9,%s,%s,why\n",
        gauc, f.params, f.effect, gauc, f.params, f.effect);
    snprintf(path, sizeof path, "%s/effect.csv", name);
    scratch_write(s, path, text);
    snprintf(text, sizeof text,
             "variant,features,precision,store,candidates,threads,load,p50_us,flops_per_candidate,bytes_per_"
             "candidate,"
             "flops_per_request\nmlp,all,fp32,memory,100,2,closed,5,%s,64,1000\n",
             f.flops);
    snprintf(path, sizeof path, "%s/compute.csv", name);
    scratch_write(s, path, text);
    folder_predictions(s, name, &f, "all", 1);
}
