#include "bench/args.h"
#include "base/str.h"
#include <inttypes.h>
#include <string.h>

static int unknown(const char *command, const struct arg *args, const char *text, struct err *e) {
    char names[16][40];
    const char *known[16];
    size_t n = 0;
    for (; args->name && n < 16; args++, n++) {
        snprintf(names[n], sizeof names[n], "--%s", args->name);
        known[n] = names[n];
    }
    struct str s = STR_INIT;
    str_add(&s, "");
    if (n) str_add_suggestion(&s, text, known, n);
    err_set(e, ERR_INPUT, "%s: unknown option %s%s (`prerank help %s` lists them)", command, text,
            s.failed ? "" : s.p, command);
    str_release(&s);
    return ERR_INPUT;
}

/* argv[*i] is an option; *i moves to its value when that is the next argument. */
static int option(int argc, char **argv, int *i, const struct arg *args, struct err *e) {
    const char *name = argv[*i] + 2, *equals = strchr(name, '=');
    size_t n = equals ? (size_t)(equals - name) : strlen(name);
    char text[64];
    snprintf(text, sizeof text, "--%.*s", (int)(n < 60 ? n : 60), name);
    const struct arg *a = args;
    while (a->name && (strlen(a->name) != n || strncmp(a->name, name, n) != 0)) a++;
    if (!a->name) return unknown(argv[0], args, text, e);
    if (a->flag) {
        if (equals) return err_set(e, ERR_INPUT, "%s: %s takes no value", argv[0], text);
        *a->flag = true;
        return 0;
    }
    if (!equals && *i + 1 >= argc) return err_set(e, ERR_INPUT, "%s: %s needs a value", argv[0], text);
    const char *value = equals ? equals + 1 : argv[++*i];
    if (a->value) {
        *a->value = value;
    } else {
        if (a->list->n >= ARGS_LIST_MAX)
            return err_set(e, ERR_INPUT, "%s: %s stands more than %d times", argv[0], text, ARGS_LIST_MAX);
        a->list->v[a->list->n++] = value;
    }
    return 0;
}

int args_parse_n(int argc, char **argv, const struct arg *args, const char *what, int n,
                 const char **position, struct err *e) {
    int got = 0;
    bool options = true;
    for (int i = 1; i < argc; i++) {
        if (options && !strcmp(argv[i], "--")) {
            options = false;
        } else if (options && argv[i][0] == '-' && argv[i][1] == '-') {
            TRY(option(argc, argv, &i, args, e));
        } else if (options && argv[i][0] == '-' && argv[i][1]) {
            return unknown(argv[0], args, argv[i], e);
        } else if (got >= n) {
            return err_set(e, ERR_INPUT, "%s: one argument too many: \"%s\" (see `prerank help %s`)", argv[0],
                           argv[i], argv[0]);
        } else {
            position[got++] = argv[i];
        }
    }
    if (got < n) return err_set(e, ERR_INPUT, "%s: needs %s (see `prerank help %s`)", argv[0], what, argv[0]);
    return 0;
}

int args_parse(int argc, char **argv, const struct arg *args, const char *what, const char **position,
               struct err *e) {
    return args_parse_n(argc, argv, args, what, what ? 1 : 0, position, e);
}

int args_int(const char *name, const char *text, int lo, int hi, int *out, struct err *e) {
    int64_t v;
    if (str_to_int(text, &v) || v < lo || v > hi)
        return err_set(e, ERR_INPUT, "--%s: \"%s\" is no whole number from %d to %d", name, text, lo, hi);
    *out = (int)v;
    return 0;
}
