/* entity.h: the tables users/ and items/: each user- or item-side field once per user or item, as of the end of training and
 * validation; row 0 is the unknown one.
 *
 *     struct entity users;
 *     TRY(entity_find(&users, dir, SIDE_USER, &ds, e));     which stored row speaks for each user
 *     TRY(entity_column(&users, dir, &ds.field[i], 0, e));        rows/<field> -> users/<field>
 *     entity_release(&users);
 *
 * A user's row is its last one in training and validation (by time, ties and logs without time: in log order); of a user who has
 * none there, the first one at all.
 */
#ifndef PRERANK_DATA_ENTITY_H
#define PRERANK_DATA_ENTITY_H
#include "data/dataset.h"

struct entity {
    const char *folder; /* "users", "items" */
    uint32_t n;         /* including the unknown one */
    uint32_t *row;      /* [n] stored row */
};
/* ds: n_users, n_items and split[] are set. */
int entity_find(struct entity *t, const char *dir, side_t side, const struct dataset *ds, struct err *e);
/* `missing`: a number for the unknown one. */
int entity_column(const struct entity *t, const char *dir, const struct field *f, float missing,
                  struct err *e);
void entity_release(struct entity *t);

#endif
