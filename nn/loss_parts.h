/* loss_parts.h: what the files of loss.h (loss.c, loss_softmax.c, loss_distill.c) say to each other. */
#ifndef PRERANK_NN_LOSS_PARTS_H
#define PRERANK_NN_LOSS_PARTS_H
#include "nn/loss.h"

#define LOSS_MAX_SETS 64 /* of drawn, and of hard negatives */

int loss_input(struct graph *g, const char *prefix, const char *name); /* a column of numbers */
/* The softmax of the rows with label 1 into *node; refuses a model that is not two towers. */
int loss_softmax(struct graph *g, const struct loss_options *o, int label, int *node, struct err *e);
/* Adds the losses of distillation; `hidden` is loss_hidden()'s, or -1 without distill.feature. */
int loss_distill(struct graph *g, const struct objective *o, int hidden);

#endif
