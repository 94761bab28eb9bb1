#include "bench/commands.h"
int cmd_compare(int argc, char **argv, struct err *e) {
    (void)argc;
    (void)argv;
    return err_set(e, ERR_INPUT, "not yet");
}
